// SPDX-License-Identifier: MIT OR Apache-2.0
//! One executor for each vCPU. It polls tasks until all of them wait, then puts the vCPU to sleep.
//!
//! A vCPU runs with events and interrupts off. One that arrives only ends its sleep. The executor then finds
//! it in memory and wakes the task that waits for it.
//!
//! A task stays on the vCPU where it was spawned. A remote wake-up puts it into that vCPU's queue and kicks
//! the vCPU if it sleeps.

mod task_pool;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::type_name;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;

use embassy_executor::raw::Executor;
use embassy_executor::{SpawnToken, Spawner};
use prism_arch::machine::Machine;
use prism_arch::{cpu, vcpu};
use prism_boot::services::{Timer, Upcall};
use prism_executor::account::{self, Account, Cost};
use prism_executor::announcement::Announcement;
use prism_executor::presence::{Obstacle, Presence};
use prism_executor::round::{Vcpu, round};
use prism_executor::sleep::{Kick, Rest, Sleep};
use prism_executor::spin::{Credit, LIMIT, Watch};
use prism_executor::timers::Timers;
use spin::{Mutex, Once};

use task_pool::{Occupant, TaskPool, try_box};

use crate::console::nmi;
use crate::hypervisor::event;
use crate::irq;
use crate::report::task_name;
use crate::task::kick::VcpuKick;
use crate::task::{smp, stop};
use crate::time::alarm::Alarm;
use crate::time::{self, timer};

/// Polls that take longer, in ticks of the time-stamp counter (about a tenth of a second), are counted and
/// logged: events wait meanwhile.
const LONG_POLL: u64 = 1 << 28;

/// Where events do not interrupt, how often they are polled for, in nanoseconds.
const EVENT_POLL: u64 = 1_000_000;

/// Polls that took too long, since boot.
static LONG_POLLS: AtomicU64 = AtomicU64::new(0);

/// Times that a task spun, since boot.
static SPINS: AtomicU64 = AtomicU64::new(0);

/// Tasks that were started, since boot.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// The memory of all tasks.
static TASKS: TaskPool<Task> = TaskPool::new();

/// The vCPUs that run tasks, by number.
static CORES: [Once<Box<Core>>; vcpu::MOST] = [const { Once::new() }; vcpu::MOST];

/// The time-stamp counter, and the time in nanoseconds, of one moment: when the first executor was made, or
/// the domain was restored, maybe on a host whose counter is another one.
static MOMENT: Mutex<Option<(u64, u64)>> = Mutex::new(None);

/// A vCPU's executor and its state.
struct Core {
    number: u32,
    executor: Executor,
    /// Whether the vCPU sleeps, and whether it may.
    sleep: Sleep,
    /// Whether it is there, and the number of its tasks.
    presence: Presence,
    /// Events and timers that its tasks have not accounted for yet.
    credit: Credit,
    /// The account of the task that it polls; null if it polls none.
    polled: AtomicPtr<Account>,
    /// Ends its sleep. Without one the vCPU never sleeps while others run.
    vcpu_kick: Option<VcpuKick>,
}

// SAFETY: what is not `Sync` is the executor. It is polled by its own vCPU only, from `run`; other
// vCPUs only add tasks to it, in the way that it offers for that (`SendSpawner`).
unsafe impl Sync for Core {}
// SAFETY: as above; made on its own vCPU, and never moved out of its box.
unsafe impl Send for Core {}

impl Core {
    fn of(number: u32) -> Option<&'static Self> {
        CORES.get(number as usize)?.get().map(Box::as_ref)
    }

    /// Those that are online.
    fn all() -> impl Iterator<Item = (u32, &'static Self)> {
        let online = |core: &&Self| core.presence.is_online();
        (0..vcpu::MOST as u32).filter_map(move |number| Some((number, Self::of(number).filter(online)?)))
    }

    /// Starts a task that was made elsewhere.
    fn start<F: Future<Output = ()> + 'static>(&'static self, future: F) -> Result<(), SpawnError> {
        if !self.presence.add() {
            return Err(SpawnError::NoSuchVcpu);
        }
        self.start_added(future)
    }

    /// Starts a task of one that runs here.
    fn start_own<F: Future<Output = ()> + 'static>(&'static self, future: F) -> Result<(), SpawnError> {
        if !self.presence.add_own() {
            return Err(SpawnError::NoSuchVcpu);
        }
        self.start_added(future)
    }

    /// Starts a task that counts already.
    fn start_added<F: Future<Output = ()> + 'static>(&'static self, future: F) -> Result<(), SpawnError> {
        let token = self.token(future).inspect_err(|_| self.presence.remove())?;
        self.executor.spawner().make_send().spawn(token);
        Ok(())
    }

    fn token<F: Future<Output = ()> + 'static>(
        &'static self,
        future: F,
    ) -> Result<SpawnToken<Occupant<Task>>, SpawnError> {
        let future = Box::into_pin(try_box(future)?);
        let (name, watch) = (type_name::<F>(), Watch::new(&self.credit));
        TASKS.take(|account| {
            account.open(STARTED.fetch_add(1, Ordering::Relaxed), name, self.number);
            Task { future, name, core: self, watch, account }
        })
    }

    /// Notes that a task became ready.
    fn wake(&self, number: u32) {
        self.sleep.make_ready();
        if number != vcpu::number() {
            self.kick();
        }
    }

    /// Ends its sleep, or keeps it from falling asleep.
    fn kick(&self) {
        if let (Kick::Needed, Some(kick)) = (self.sleep.kick(), &self.vcpu_kick) {
            kick.send();
        }
    }

    /// Sleeps until an event, but not beyond `latest`. Returns at once if a task is ready.
    fn sleep(&self, machine: &dyn Machine, alarm: &mut Option<Alarm>, latest: Option<u64>) {
        match (Rest::of(alarm.is_some(), timer::next(), latest), alarm) {
            (Rest::UntilEvent, _) => {}
            (Rest::Until(at), Some(alarm)) => alarm.set(at),
            (Rest::Until(_), None) | (Rest::Awake, _) => return cpu::relax(),
        }
        if let Some(kick) = &self.vcpu_kick {
            kick.arm();
        }
        irq::end_taken();
        let has_work = || nmi::is_deferred() || stop::is_requested() || self.presence.may_leave();
        self.sleep.sleep(has_work, || machine.idle());
        self.credit.rested();
    }
}

/// The calling vCPU, as the run loop sees it.
struct Own(&'static Core);

impl Vcpu for Own {
    fn take_events(&self) -> u64 {
        event::take_all() + irq::take_all()
    }

    fn timers<R>(&self, using: impl FnOnce(&mut Timers) -> R) -> R {
        timer::timers(using)
    }

    fn now(&self) -> u64 {
        time::nanoseconds()
    }

    fn take_ready(&self) -> bool {
        self.0.sleep.take_ready()
    }

    fn poll(&self) {
        let executor = &self.0.executor;
        // SAFETY: called by `run`'s loop only, never by a task: the executor is not polled from within
        // itself, and by no other vCPU.
        unsafe { executor.poll() };
    }

    fn credit(&self) -> &Credit {
        &self.0.credit
    }
}

#[unsafe(export_name = "__pender")]
fn pend(context: *mut ()) {
    let number = context.addr() as u32;
    if let Some(core) = Core::of(number) {
        core.wake(number);
    }
}

/// A type-erased task, with accounting.
struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    /// For the log: the name of its type, which contains that of its function.
    name: &'static str,
    core: &'static Core,
    watch: Watch,
    account: &'static Account,
}

// SAFETY: a future that is not `Send` is started only on the vCPU that it was made on, and stays
// there ([`spawn`]).
unsafe impl Send for Task {}

impl Task {
    /// Accounts for a poll of `ticks`, and logs tasks that block or spin.
    fn account_poll(&mut self, ticks: u64) {
        self.account.add_poll(ticks);
        if ticks > LONG_POLL {
            LONG_POLLS.fetch_add(1, Ordering::Relaxed);
            log::debug!("long poll: a task blocked its vCPU; let it call yield_now: {}", self.name);
        }
        if let Some(spin) = self.watch.polled(&self.core.credit, ticks) {
            SPINS.fetch_add(1, Ordering::Relaxed);
            if spin.is_due() {
                log::warn!("a task spins ({} times {LIMIT} polls without work): {}", spin.count, self.name);
            }
        }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let start = cpu::timestamp();
        self.core.polled.store(ptr::from_ref(self.account).cast_mut(), Ordering::Relaxed);
        let result = self.future.as_mut().poll(context);
        self.core.polled.store(ptr::null_mut(), Ordering::Relaxed);
        self.account_poll(cpu::timestamp().saturating_sub(start));
        if result.is_ready() {
            self.core.presence.remove();
        }
        result
    }
}

/// Polls that took longer than about a tenth of a second, since boot.
pub fn long_polls() -> u64 {
    LONG_POLLS.load(Ordering::Relaxed)
}

/// How often a task was polled 65,536 times in a row without work: no event, interrupt or timer came and the
/// vCPU did not sleep. Such a task wakes itself, or another one like it does, or it waits for times that have
/// passed. The log names it at the first time, the second, the fourth and so on. Other tasks run as before.
pub fn spins() -> u64 {
    SPINS.load(Ordering::Relaxed)
}

/// A task that runs.
#[derive(Clone, Copy, Debug)]
pub struct TaskUsage {
    /// Which task it is: later ones have higher numbers.
    pub id: u64,
    /// The name of its type, which contains that of its function.
    pub name: &'static str,
    /// The vCPU that it runs on.
    pub vcpu: u32,
    /// How often it was polled.
    pub polls: u64,
    /// How long its polls took in all.
    pub busy: Duration,
}

/// The tasks that run, oldest first, but for those of embassy's spawner. Empty if there is no memory to list
/// them.
pub fn tasks() -> Vec<TaskUsage> {
    let mut costs = TASKS.costs();
    costs.sort_unstable_by_key(|cost| cost.id);
    let (then, now) = (MOMENT.lock().unwrap_or_default(), moment());
    let (all, elapsed) = (now.0.saturating_sub(then.0), now.1.saturating_sub(then.1));
    let usage = |Cost { id, name, vcpu, polls, ticks }| TaskUsage {
        id,
        name,
        vcpu,
        polls,
        busy: account::duration(ticks, all, elapsed),
    };
    costs.into_iter().map(usage).collect()
}

fn moment() -> (u64, u64) {
    (cpu::timestamp(), time::nanoseconds())
}

/// Goes on after the domain was restored, maybe with another time-stamp counter. To be called while all other
/// vCPUs wait.
pub(crate) fn resume() {
    *MOMENT.lock() = Some(moment());
}

/// How many tasks vCPU `number` has, but for those of embassy's spawner.
pub(crate) fn tasks_of(number: u32) -> u32 {
    Core::of(number).map_or(0, |core| core.presence.tasks())
}

/// What a vCPU does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Activity {
    /// It sleeps.
    Sleeps,
    /// It runs a task, whose name is known unless it has just begun or ended.
    Runs(Option<&'static str>),
    /// It looks for work, or runs a task of a [`Spawner`].
    Awake,
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sleeps => f.write_str("sleeps"),
            Self::Runs(Some(name)) => write!(f, "runs {}", task_name(name)),
            Self::Runs(None) => f.write_str("runs a task"),
            Self::Awake => f.write_str("is awake"),
        }
    }
}

/// What vCPU `number` does now. Waits for no lock: may be called from a non-maskable interrupt.
pub(crate) fn activity(number: u32) -> Option<Activity> {
    let core = Core::of(number)?;
    // SAFETY: null, or the account of a slot, which is never given back.
    let polled = unsafe { core.polled.load(Ordering::Relaxed).as_ref() };
    Some(match polled {
        Some(account) => Activity::Runs(account.try_name()),
        None if core.sleep.is_asleep() => Activity::Sleeps,
        None => Activity::Awake,
    })
}

/// Tells that the calling task found work by polling, where no event announced it.
pub(crate) fn found_work() {
    if let Some(core) = Core::of(vcpu::number()) {
        core.credit.add(1);
    }
}

/// Keeps the calling vCPU from falling asleep. May be called from a non-maskable interrupt.
pub(crate) fn keep_awake() {
    if let Some(core) = Core::of(vcpu::number()) {
        core.kick();
    }
}

/// Keeps all other vCPUs from falling asleep, or wakes them.
pub(crate) fn kick_others() {
    let own = vcpu::number();
    Core::all().filter(|(number, _)| *number != own).for_each(|(_, core)| core.kick());
}

/// Why a task was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// There is no memory for one more task.
    NoMemory,
    /// That vCPU does not exist, or does not run.
    NoSuchVcpu,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str("there is no memory for one more task"),
            Self::NoSuchVcpu => f.write_str("there is no such vCPU"),
        }
    }
}

impl core::error::Error for SpawnError {}

/// Starts `task` on the vCPU that calls.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) -> Result<(), SpawnError> {
    Core::of(vcpu::number()).ok_or(SpawnError::NoSuchVcpu)?.start_own(task)
}

/// The spawner of the vCPU that calls, which it does not leave: a [`Spawner`] is not [`Send`]. As nobody
/// counts its tasks, that vCPU stays online from now on.
pub(crate) fn spawner() -> Option<Spawner> {
    let core = Core::of(vcpu::number())?;
    core.presence.add_uncounted();
    Some(core.executor.spawner())
}

/// Starts `task` on vCPU `number`.
pub(crate) fn spawn_on(
    number: u32,
    task: impl Future<Output = ()> + Send + 'static,
) -> Result<(), SpawnError> {
    Core::of(number).ok_or(SpawnError::NoSuchVcpu)?.start(task)
}

/// Starts `task` on the vCPU that has the fewest tasks.
pub(crate) fn spawn_anywhere(task: impl Future<Output = ()> + Send + 'static) -> Result<(), SpawnError> {
    loop {
        // The boot vCPU never leaves.
        let open = Core::all().filter(|(_, core)| core.presence.is_open());
        let (_, core) = open.min_by_key(|(_, core)| core.presence.tasks()).ok_or(SpawnError::NoSuchVcpu)?;
        // False if it has been asked to leave in this moment.
        if core.presence.add() {
            return core.start_added(task);
        }
    }
}

/// Numbers of the vCPUs that take new tasks.
pub(crate) fn running() -> impl Iterator<Item = u32> {
    Core::all().filter(|(_, core)| core.presence.is_open()).map(|(number, _)| number)
}

/// Numbers of the vCPUs that run tasks: also of those that are asked to leave.
pub(crate) fn online() -> impl Iterator<Item = u32> {
    Core::all().map(|(number, _)| number)
}

/// Whether vCPU `number` has ever been online.
pub(crate) fn is_known(number: u32) -> bool {
    Core::of(number).is_some()
}

/// Told when a vCPU is asked to leave.
static LEAVING: Announcement<()> = Announcement::new();

/// Asks vCPU `number` to leave: it takes no new tasks, and goes off when it has none. Tasks that [want to
/// know](leaving) are told. False if it is off.
pub(crate) fn ask_to_leave(number: u32) -> bool {
    let asked = Core::of(number).is_some_and(|core| {
        let asked = core.presence.ask_to_leave();
        core.kick();
        asked
    });
    LEAVING.announce(());
    asked
}

/// Has vCPU `number` stay though it was asked to leave; false if it was not, or has left.
pub(crate) fn stay(number: u32) -> bool {
    Core::of(number).is_some_and(|core| core.presence.is_leaving() && core.presence.stay())
}

/// What keeps vCPU `number` from leaving.
pub(crate) fn obstacle(number: u32) -> Option<Obstacle> {
    Core::of(number)?.presence.obstacle()
}

/// Told when a vCPU has left.
static LEFT: Announcement<()> = Announcement::new();

/// Tells who [waits](left) that the calling vCPU, which tells nobody anything after this, has left.
pub(crate) fn tell_left() {
    LEFT.announce(());
}

/// Waits until vCPU `number` is off.
pub(crate) async fn left(number: u32) {
    loop {
        let next = LEFT.next();
        if Core::of(number).is_none_or(|core| !core.presence.is_online()) {
            return;
        }
        next.await;
    }
}

/// Waits until the vCPU that first polls this is asked to leave.
pub(crate) async fn leaving() {
    let number = vcpu::number();
    loop {
        let next = LEAVING.next();
        if Core::of(number).is_none_or(|core| core.presence.is_leaving()) {
            return;
        }
        next.await;
    }
}

/// The calling vCPU is online again. False if it has never been.
pub(crate) fn come_back() -> bool {
    let core = Core::of(vcpu::number());
    core.inspect(|core| core.presence.come_back()).is_some()
}

/// Prepares the calling vCPU for tasks. `kick` ends its sleep when another vCPU wakes one of its tasks.
pub(crate) fn init(vcpu_kick: Option<VcpuKick>) {
    let number = vcpu::number();
    MOMENT.lock().get_or_insert_with(moment);
    if let Some(core) = CORES.get(number as usize) {
        core.call_once(|| {
            Box::new(Core {
                number,
                executor: Executor::new(core::ptr::without_provenance_mut(number as usize)),
                sleep: Sleep::new(),
                presence: Presence::new(),
                credit: Credit::new(),
                polled: AtomicPtr::new(ptr::null_mut()),
                vcpu_kick,
            })
        });
    }
}

/// Runs this vCPU's tasks for ever. `timer` ends its sleeps; `upcall` is how it learns of events.
pub(crate) fn run(machine: &dyn Machine, timer: Timer, upcall: Upcall) -> ! {
    let number = vcpu::number();
    let mut alarm = Alarm::of(number, timer);
    let Some(core) = Core::of(number) else { cpu::stop() };
    loop {
        nmi::report_deferred();
        if stop::is_requested() {
            stop::take_part();
            alarm.iter_mut().for_each(Alarm::forget);
        }
        if core.presence.may_leave() {
            // Its timer's port is the last thing that is bound to it but the kick, which stays.
            drop(alarm.take());
            smp::leave(number, || core.presence.leave());
            alarm = Alarm::of(number, timer);
        }
        if !round(&Own(core)) {
            let latest = (upcall == Upcall::Polling).then(|| time::nanoseconds() + EVENT_POLL);
            core.sleep(machine, &mut alarm, latest);
        }
    }
}
