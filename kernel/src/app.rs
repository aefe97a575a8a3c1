// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application is, and the [`Context`] that it gets.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use embassy_futures::yield_now;
use prism_boot::{BootInfo, CommandLine, Module};
pub use prism_executor::consent::Hold;
pub use xen::sched::Resumed;

use crate::boot::environment::Environment;
use crate::devices;
use crate::devices::disks::{self, Disk, ServeError};
use crate::devices::netback::RoutedNetwork;
pub use crate::hypervisor::lifecycle::ShutdownAction;
use crate::hypervisor::{lifecycle, suspend, xenstore};
use crate::task::executor::{self, SpawnError};
use crate::{console, entropy, memory, time};

/// Makes an image out of an `async fn main(context: Context)`.
///
/// It may return nothing, a [`Verdict`], or a `Result` of either; see [`Outcome`]. List the command-line
/// parameters that the application reads behind `params:`. Unknown options log a warning at boot.
///
/// ```ignore
/// #![no_std]
/// #![no_main]
///
/// prism::app!(main, params: ["name"]);
///
/// async fn main(context: prism::Context) {
///     let name = context.command_line().get("name").unwrap_or("world");
///     prism::println!("Hello, {name}!");
/// }
/// ```
#[macro_export]
macro_rules! app {
    ($main:path) => { $crate::app!($main, params: []); };
    ($main:path, params: [$($word:literal),* $(,)?]) => {
        #[cfg(panic = "unwind")]
        ::core::compile_error!(
            "a Prism image cannot unwind: write `panic = \"abort\"` into [profile.dev] and [profile.release] of \
             the workspace's Cargo.toml"
        );

        /// The kernel starts this.
        #[unsafe(no_mangle)]
        fn prism_application() -> $crate::app::Application {
            /// Kept as a function, so that an image has one with the application's name.
            #[inline(never)]
            fn start(context: $crate::Context) -> $crate::app::Main {
                $crate::app::boxed(async move { $main(context).await })
            }
            $crate::app::Application { name: env!("CARGO_PKG_NAME"), params: &[$($word),*], main: start }
        }

        #[panic_handler]
        fn prism_panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::panicked(info)
        }

        #[global_allocator]
        static PRISM_HEAP: $crate::memory::Heap = $crate::memory::Heap;
    };
}

/// The future of a main that has been started.
pub type Main = Pin<Box<dyn Future<Output = Outcome>>>;

/// An application as [`app!`](crate::app!) hands it to the kernel.
pub struct Application {
    /// Its package's name: the title of its test result.
    pub name: &'static str,
    /// The command-line words it reads.
    pub params: &'static [&'static str],
    /// Starts its main.
    pub main: fn(Context) -> Main,
}

/// What [`app!`](crate::app!) wraps a main in.
pub fn boxed<T: Into<Outcome>>(main: impl Future<Output = T> + 'static) -> Main {
    Box::pin(async move { main.await.into() })
}

/// How a run ended, in the words of XTF (`docs/` of the Xen Test Framework, "Test status"): Xen's own tools
/// can judge an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything worked.
    Success,
    /// Something that the test needs is missing.
    Skip,
    /// Something unexpected prevented a result.
    Error,
    /// The tested behaviour is broken.
    Failure,
}

impl Verdict {
    /// The exit status that stands for it: 0, 3, 4 or 5.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Skip => 3,
            Self::Error => 4,
            Self::Failure => 5,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Success => "SUCCESS",
            Self::Skip => "SKIP",
            Self::Error => "ERROR",
            Self::Failure => "FAILURE",
        })
    }
}

/// How an application's main ended: a verdict, and for errors why.
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// What an error said.
    pub reason: Option<crate::Error>,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, reason: None }
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Verdict::Success.into()
    }
}

impl<T: Into<Outcome>> From<crate::Result<T>> for Outcome {
    fn from(result: crate::Result<T>) -> Self {
        match result {
            Ok(value) => value.into(),
            Err(reason) => Self { verdict: Verdict::Error, reason: Some(reason) },
        }
    }
}

/// The application's view of the system: what it was told, and the services that it may use.
#[derive(Clone, Copy)]
pub struct Context {
    pub(crate) info: &'static BootInfo,
    pub(crate) environment: &'static Environment,
}

impl Context {
    /// The kernel command line.
    pub fn command_line(&self) -> &'static CommandLine {
        &self.info.command_line
    }

    /// The files that the loader put into memory.
    pub fn modules(&self) -> &'static [Module] {
        &self.info.modules
    }

    /// The content of the first file that the loader put into memory (`ramdisk=` in an `xl`
    /// configuration, `-initrd` of QEMU). It is a [disk](Self::disk) too, `ram0`, that can only be read.
    pub fn ramdisk(&self) -> Option<&'static [u8]> {
        memory::module(&self.info.memory, self.info.modules.first()?)
    }

    /// What the loader told of the machine.
    pub fn boot_info(&self) -> &'static BootInfo {
        self.info
    }

    /// What the kernel found: the hypervisor, and what each service resolved to.
    pub fn environment(&self) -> &'static Environment {
        self.environment
    }

    /// Xenstore, if the toolstack gave this domain one.
    pub fn store(&self) -> Option<&'static xen::xenstore::Client> {
        xenstore::client()
    }

    /// The TCP/IP stack on network interface `index`, counted from 0, once it has an address. Each stack is
    /// handed out once; copy it to share it. It belongs to the calling vCPU. After an error the call may be
    /// repeated on the same vCPU.
    ///
    /// # Errors
    ///
    /// Fails if there is no such interface, if its backend does not connect within 10 seconds, if its NIC has
    /// no link, or if the network gives no address within 30 seconds.
    pub async fn network(
        &self,
        index: usize,
    ) -> Result<embassy_net::Stack<'static>, crate::network::NetworkError> {
        crate::network::open(index, self).await
    }

    /// Waits until the toolstack asks the domain to power off or reboot. A caller that is waiting at that
    /// moment has 10 seconds to return from main; without one, the domain ends at once. Dropping the future
    /// withdraws it: to do other things meanwhile, keep it and use `select`.
    pub async fn shutdown_requested(&self) {
        lifecycle::shutdown_requested().await;
    }

    /// Has the domain end as if the toolstack had asked for it: if tasks [wait for
    /// that](Self::shutdown_requested), when main returns, or after ten seconds; else at once. Waits for the
    /// end.
    pub async fn shut_down(&self, action: ShutdownAction) {
        lifecycle::shut_down(action).await;
    }

    /// Waits until the toolstack asks for the domain to be suspended (`xl save`, `xl migrate`). The domain
    /// goes on until the [`Hold`] that this returns is dropped, but no longer than ten seconds;
    /// [`Hold::refuse`] leaves the request unanswered, and `xl` gives up after a minute. Dropping the future
    /// withdraws it: to do other things meanwhile, keep it and use `select`.
    ///
    /// Where suspending is not offered, as the boot report tells, this waits for ever.
    pub async fn about_to_suspend(&self) -> Hold<'static> {
        suspend::about_to_suspend().await
    }

    /// Waits until the domain goes on after it was suspended, from the call on. If it was
    /// [restored](Resumed::Restored), maybe on another host, its disks and interfaces are being connected
    /// anew, and the domain's number, its nodes in xenstore, event channels to other domains and pages that
    /// it had granted are others.
    pub async fn resumed(&self) -> Resumed {
        suspend::resumed().await
    }

    /// The disks, in the same order at each boot: the working ones of those that were there when disks were
    /// first asked for, and those that were attached later.
    pub async fn disks(&self) -> Vec<Arc<Disk>> {
        devices::start_disks(self);
        disks::all().await
    }

    /// The first of the [disks](Self::disks), whatever its name; `None` if there is none.
    pub async fn first_disk(&self) -> Option<Arc<Disk>> {
        self.disks().await.into_iter().next()
    }

    /// The disk that `name` means, such as `xvda` or `/dev/sdb`; `None` if there is none. An exact match
    /// wins; otherwise the prefix may differ from the disk's own (`sda` finds `xvda`).
    pub async fn disk(&self, name: &str) -> Option<Arc<Disk>> {
        let (disk, partition) = self.disk_or_partition(name).await?;
        partition.is_none().then_some(disk)
    }

    /// The disk that `name` means, and the number of the partition if `name` has one, such as `xvda2` where
    /// no disk has that name. `None` if there is no such disk. The partition is not looked up.
    pub async fn disk_or_partition(&self, name: &str) -> Option<(Arc<Disk>, Option<u32>)> {
        devices::start_disks(self);
        disks::find(name).await
    }

    /// Waits for a disk of exactly this name. If none is ever attached, waits for ever.
    pub async fn wait_for_disk(&self, name: &str) -> Arc<Disk> {
        devices::start_disks(self);
        disks::named(name).await
    }

    /// Serves the disks of this domain to others, whose configurations name this one as the disk's backend
    /// (`backend=NAME`), and one of the disks, or a partition, by the name that [`disk`](Self::disk) and
    /// [`disk_or_partition`](Self::disk_or_partition) know (`target=xvda`). This domain's own configuration
    /// has `driver_domain=1`. It is to be called once. While a guest is connected, this domain is not
    /// suspended.
    ///
    /// Returns only when that is not possible, or not any more. If the future is dropped, devices that are
    /// served already go on being served, and no new ones are.
    pub async fn serve_disks(&self) -> ServeError {
        devices::blkback::serve(self).await
    }

    /// Connects other domains, whose configurations name this one as the backend of an interface
    /// (`backend=NAME`), to the network of this domain's interface `uplink`, which has no stack then: this
    /// domain is a bridge, and has no address there. This domain's own configuration has `driver_domain=1`.
    /// It is to be called once. While a guest is connected, this domain is not suspended.
    ///
    /// A guest sends from the address only that the toolstack gave it (`mac`).
    ///
    /// Returns only when that is not possible, or not any more; at once if the interface's stack was [handed
    /// out](Self::network). If the future is dropped, interfaces that are served already go on being served,
    /// and no new ones are.
    pub async fn serve_network(&self, uplink: usize) -> ServeError {
        devices::netback::serve(uplink, self).await
    }

    /// Interfaces for other domains, whose configurations name this one as the backend (`backend=NAME`), and
    /// the network of this domain's interface `uplink`, for an application that is a router between them: its
    /// stack was [opened](Self::network) on the calling vCPU, and goes on. Guests reach the router only, and
    /// send from the Ethernet address only that the toolstack gave them. This domain's own configuration has
    /// `driver_domain=1`. It is to be called once, and not beside [`serve_network`](Self::serve_network).
    ///
    /// # Errors
    ///
    /// Without Xen, or if the stack was not opened here.
    pub fn route_network(&self, uplink: usize) -> Result<RoutedNetwork, ServeError> {
        RoutedNetwork::open(uplink)
    }

    /// Time since early in boot. It is monotonic; [`task::Instant`](crate::task::Instant) reads the same
    /// clock.
    pub fn uptime(&self) -> Duration {
        Duration::from_nanos(time::nanoseconds())
    }

    /// Time since 1970-01-01 00:00 UTC, where a wall clock exists: see [`wall_clock`](time::wall_clock).
    pub fn wall_clock(&self) -> Option<Duration> {
        time::wall_clock()
    }

    /// The generator of random numbers: see [`entropy`].
    pub fn random(&self) -> entropy::Random {
        entropy::Random
    }

    /// Starts a task on the calling vCPU. The task need not be `Send`.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoMemory`].
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) -> Result<(), SpawnError> {
        executor::spawn(task)
    }

    /// The calling vCPU's spawner, for functions with `#[embassy_executor::task]`, which many of embassy's
    /// examples and drivers consist of. The application depends on `embassy-executor` of the version that
    /// [`embassy_executor`] is, without its default features.
    ///
    /// Such tasks have their memory in the image, as many at a time as their `pool_size` says, 1 by default.
    /// They are not accounted for: [`Self::spawn_anywhere`] does not count them, and the log does not name
    /// those that block or spin. As nobody knows when they have ended, the vCPU that calls this stays online
    /// from now on.
    ///
    /// ```ignore
    #[doc = include_str!("../../tests/guest/tasks/src/examples/embassy.rs")]
    /// ```
    ///
    /// # Panics
    ///
    /// If it is not called by a task.
    pub fn spawner(&self) -> embassy_executor::Spawner {
        executor::spawner().expect("an application runs where tasks do")
    }

    /// Starts a task on vCPU `vcpu`.
    ///
    /// # Errors
    ///
    /// [`SpawnError`].
    pub fn spawn_on(
        &self,
        vcpu: u32,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), SpawnError> {
        executor::spawn_on(vcpu, task)
    }

    /// Starts a task on the vCPU with the fewest tasks.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoMemory`].
    pub fn spawn_anywhere(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), SpawnError> {
        executor::spawn_anywhere(task)
    }

    /// The numbers of the vCPUs that take tasks, from 0. The toolstack may change which there are (`xl
    /// vcpu-set`): one that is to go off takes no new ones.
    pub fn vcpus(&self) -> impl Iterator<Item = u32> + use<> {
        executor::running()
    }

    /// Waits until the toolstack wants the vCPU that the calling task runs on to go off (`xl vcpu-set`).
    /// Until all of its tasks have ended it stays online; new ones are put elsewhere. Dropping the future
    /// withdraws it: to do other things meanwhile, keep it and use `select`. The boot vCPU never goes.
    pub async fn vcpu_leaving(&self) {
        executor::leaving().await;
    }

    /// The number of the vCPU that the calling task runs on.
    pub fn vcpu(&self) -> u32 {
        prism_arch::vcpu::number()
    }

    /// Reads what was typed on the console, as a terminal sends it, into `buffer`, and returns how many bytes
    /// that were; waits for the first. Input that is not read stays with the console. One task reads at a
    /// time. Other tasks get their turn, even if input never ends.
    pub async fn read_console(&self, buffer: &mut [u8]) -> usize {
        yield_now().await;
        loop {
            match console::read(buffer) {
                0 if !buffer.is_empty() => console::wait_for_input().await,
                count => return count,
            }
        }
    }

    /// Reads a line from the console, without its line end. Keeps at most `limit` bytes; backspace removes
    /// the last one; invalid UTF-8 is replaced.
    pub async fn read_line(&self, limit: usize) -> String {
        const BACKSPACE: u8 = 0x08;
        const DELETE: u8 = 0x7f;
        const BYTES_A_TURN: u32 = 256;
        let mut line = alloc::vec::Vec::new();
        let mut left = BYTES_A_TURN;
        loop {
            if left == 0 {
                // Endless input must not starve other tasks.
                yield_now().await;
                left = BYTES_A_TURN;
            }
            left -= 1;
            let mut byte = [0];
            if console::read(&mut byte) == 0 {
                console::wait_for_input().await;
                continue;
            }
            match byte {
                [b'\r' | b'\n'] => return String::from_utf8_lossy(&line).into_owned(),
                [BACKSPACE | DELETE] => drop(line.pop()),
                [byte] if line.len() < limit => line.push(byte),
                _ => {}
            }
        }
    }
}
