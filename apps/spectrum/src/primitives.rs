// SPDX-License-Identifier: MIT OR Apache-2.0
//! The primitives: each is done so often, again and again, and timed by the guest's own clock.
//!
//! `times=N`: how often in a round, more for what takes next to no time, less for what is slow; `rounds=N`;
//! `marks=`: where whoever counts from outside sees a round begin and end; `partner`: somebody in
//! dom0 answers events, and grants a page; `wakes`: only another vCPU is woken.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::hint::black_box;
use core::net::Ipv4Addr;

use prism::embassy_net::udp::{PacketMetadata, UdpSocket};
use prism::embassy_net::{IpAddress, Stack};
use prism::event::EventChannel;
use prism::grant::{self, OwnPage};
use prism::sync::signal::Signal;
use prism::task::{Duration, Instant, sleep, with_timeout, yield_now};
use prism::time::nanoseconds;
use prism::xen::DomainId;
use prism::xen::grant::{ReadOnly, ReadWrite, Reference};
use prism::xen::version;
use prism::{Context, console, disks, println};

use crate::mark::Marks;
use crate::table::{Measured, Row, Table};

/// How often a thing is done in a round, and how many rounds there are, unless the command line says
/// otherwise.
const TIMES: u64 = 400;
const ROUNDS: u64 = 5;
/// So many times more often is done what takes next to no time.
const MORE: u64 = 10;
/// What is slow is done so many times less often.
const LESS: u64 = 10;
/// Time for what the round before has caused to settle down.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest time for a row, and to wait for anybody else.
const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of a read.
const BLOCK: u64 = 4096;
/// Blocks between a read and the next: far enough that nobody guesses it.
const STRIDE: u64 = 37;
/// Whoever is on the other side of Xen's rings.
const DOM0: DomainId = DomainId(0);

/// A query for the address of `localhost`: a datagram that every server of names answers by itself.
const QUERY: &[u8] = b"\x50\x52\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09localhost\x00\x00\x01\x00\x01";
/// The port of such servers.
const NAMES: u16 = 53;

/// Why a row is empty where there is no Xen, or it is not used.
const NO_XEN: &str = "Xen is not used here";

/// Measures all of them, and prints the table.
pub(crate) async fn measure(context: &Context) -> prism::Result {
    let words = context.command_line();
    let mut bench = Bench {
        context,
        marks: Marks::of(context)?,
        times: words.number("times")?.unwrap_or(TIMES).max(1),
        rounds: words.number("rounds")?.unwrap_or(ROUNDS).max(1),
        marked: Cell::new(0),
        rows: Vec::new(),
        late: Vec::new(),
        broken: None,
    };
    println!("primitives: ready");
    if words.flag("wakes")? {
        bench.wake_up().await;
    } else {
        bench.all().await;
    }
    if let Some(why) = bench.broken {
        return Err(why.into());
    }
    println!("{}", Table(&bench.rows));
    bench.late.sort_unstable();
    if let (Some(least), Some(median), Some(most)) =
        (bench.late.first(), bench.late.get(bench.late.len() / 2), bench.late.last())
    {
        println!("a timer is late by {median} ns, {least} to {most}");
    }
    Ok(())
}

struct Bench<'a> {
    context: &'a Context,
    marks: Marks,
    times: u64,
    rounds: u64,
    /// Marks that were made since the last row.
    marked: Cell<u32>,
    rows: Vec<Row>,
    /// By how many nanoseconds timers were late.
    late: Vec<u64>,
    /// Why a row failed that had begun, so that nobody knows any more which mark is whose.
    broken: Option<String>,
}

/// A row that was measured, or why it was not.
type Outcome = prism::Result<Measured>;

impl Bench<'_> {
    /// Keeps what came of a primitive.
    fn keep(&mut self, name: &'static str, outcome: Outcome) {
        let measured = outcome.map_err(|error| error.to_string());
        match &measured {
            Err(error) if self.marked.get() > 0 => self.broken = Some(format!("{name}: {error}")),
            _ => self.marked.set(0),
        }
        self.rows.push(Row { name, measured });
    }

    fn mark(&self) {
        self.marked.set(self.marked.get() + 1);
        self.marks.make(self.context);
    }

    async fn all(&mut self) {
        self.hypercalls().await;
        self.time().await;
        self.memory().await;
        self.task_switch().await;
        self.wake_up().await;
        self.console().await;
        self.disk().await;
        self.network().await;
    }

    /// Does something so often in each round.
    async fn rounds(&self, times: u64, operation: impl AsyncFnMut() -> prism::Result) -> Outcome {
        let all = self.all_rounds(times, operation);
        with_timeout(LIMIT, all).await.map_err(|_| "it did not end in time")?
    }

    async fn all_rounds(&self, times: u64, mut operation: impl AsyncFnMut() -> prism::Result) -> Outcome {
        let times = times.max(1);
        operation().await?; // what is done once and for all is not of interest
        let mut each = Vec::new();
        for _ in 0..self.rounds {
            console::flush().await;
            sleep(PAUSE).await;
            self.mark();
            let begun = nanoseconds();
            for _ in 0..times {
                operation().await?;
            }
            let took = nanoseconds().saturating_sub(begun);
            self.mark();
            each.push(took / times);
        }
        Ok(Measured { times, each })
    }

    /// What is between the guest and Xen, or dom0.
    async fn hypercalls(&mut self) {
        let calls = self.context.environment().hypervisor_calls();
        let outcome = match calls {
            Some(calls) => {
                self.rounds(self.times, async || {
                    black_box(version::version(&calls)?);
                    Ok(())
                })
                .await
            }
            None => Err(NO_XEN.into()),
        };
        self.keep("null hypercall", outcome);
        let outcome = match calls {
            Some(_) => self.event_to_self().await,
            None => Err(NO_XEN.into()),
        };
        self.keep("event to self", outcome);
        let outcome = self.echoes().await;
        self.keep("event to dom0 and back", outcome);
        let outcome = match self.context.store() {
            Some(store) => {
                self.rounds(self.times, async || {
                    // That there is none is an answer, too.
                    let _ = black_box(store.read_str("name").await);
                    Ok(())
                })
                .await
            }
            None => Err("there is no xenstore".into()),
        };
        self.keep("node of xenstore read", outcome);
    }

    /// A program in dom0 answers each event with one.
    async fn echoes(&self) -> Outcome {
        if !self.context.command_line().flag("partner")? {
            return Err("nobody in dom0 answers".into());
        }
        let store = self.context.store().ok_or("there is no xenstore")?;
        let channel = EventChannel::for_domain(DOM0)?;
        store.write("data/peer/ports", &format!("{}", channel.port().0)).await?;
        let connected = with_timeout(LIMIT, heard(store, "data/peer/connected")).await;
        connected.map_err(|_| "nobody in dom0 answers")??;
        self.rounds(self.times, async || {
            channel.notify()?;
            channel.wait().await;
            Ok(())
        })
        .await
    }

    async fn event_to_self(&self) -> Outcome {
        let channel = EventChannel::to_self(self.context.vcpu())?;
        self.rounds(self.times, async || {
            channel.notify()?;
            channel.wait().await;
            Ok(())
        })
        .await
    }

    /// Timers and clocks.
    async fn time(&mut self) {
        let mut late = Vec::new();
        let outcome = self
            .rounds(self.times, async || {
                let due = Instant::now() + Duration::from_millis(1);
                sleep(Duration::from_millis(1)).await;
                late.push(Instant::now().saturating_duration_since(due).as_nanos());
                Ok(())
            })
            .await;
        self.late = late;
        self.keep("timer of 1 ms", outcome);
        let outcome = self
            .rounds(self.times * MORE, async || {
                black_box(nanoseconds());
                Ok(())
            })
            .await;
        self.keep("clock read", outcome);
        let outcome = match self.context.wall_clock() {
            Some(_) => {
                self.rounds(self.times * MORE, async || {
                    black_box(self.context.wall_clock());
                    Ok(())
                })
                .await
            }
            None => Err("nobody tells the date".into()),
        };
        self.keep("date", outcome);
    }

    /// Page tables, and pages of several domains.
    async fn memory(&mut self) {
        let mut page = OwnPage::new();
        let outcome = self
            .rounds(self.times, async || {
                page = Some(page.take().ok_or("there is no memory")?.remapped()?);
                Ok(())
            })
            .await;
        self.keep("page unmapped and mapped", outcome);
        let outcome = match grant::table() {
            Some(table) => {
                let mut page = OwnPage::new();
                self.rounds(self.times, async || {
                    let granted =
                        table.try_grant::<ReadWrite>(page.take().ok_or("there is no memory")?, DOM0);
                    let granted = granted.map_err(|refused| refused.error)?;
                    page = granted.end().ok();
                    Ok(())
                })
                .await
            }
            None => Err(NO_XEN.into()),
        };
        self.keep("grant made and ended", outcome);
        let outcome = self.foreign_page().await;
        self.keep("page of dom0 mapped, unmapped", outcome);
    }

    async fn foreign_page(&self) -> Outcome {
        if !self.context.command_line().flag("partner")? {
            return Err("nobody in dom0 grants one".into());
        }
        let store = self.context.store().ok_or("there is no xenstore")?;
        let references = with_timeout(LIMIT, heard(store, "data/peer/lent")).await;
        let references = references.map_err(|_| "nobody in dom0 grants one")??;
        let (first, _) = references.split_once(' ').ok_or("there are not two grants")?;
        let reference = Reference::new(first.parse()?).ok_or("there is no grant 0")?;
        let outcome = self
            .rounds(self.times, async || {
                drop(black_box(grant::map::<ReadOnly>(DOM0, reference)?));
                Ok(())
            })
            .await;
        store.write("data/peer/done", "1").await?;
        outcome
    }

    /// Tasks of one vCPU.
    async fn task_switch(&mut self) {
        let outcome = self.switches().await;
        self.keep("switch to a task and back", outcome);
    }

    async fn switches(&self) -> Outcome {
        let over = Rc::new(Cell::new(false));
        let end = Rc::clone(&over);
        self.context.spawn(async move {
            while !end.get() {
                yield_now().await;
            }
        })?;
        let outcome = self
            .rounds(self.times * MORE, async || {
                yield_now().await;
                Ok(())
            })
            .await;
        over.set(true);
        outcome
    }

    /// Tasks of two vCPUs.
    async fn wake_up(&mut self) {
        let outcome = self.wakes().await;
        self.keep("another vCPU woken, 1 ms slept", outcome);
    }

    /// A task on another vCPU is woken, and has time to sleep again.
    async fn wakes(&self) -> Outcome {
        let other = self.context.vcpus().nth(1).ok_or("one vCPU runs")?;
        let signal = Arc::new(Wakeup::new());
        let woken = Arc::clone(&signal);
        self.context.spawn_on(other, async move {
            loop {
                woken.wait().await;
            }
        })?;
        self.rounds(self.times, async || {
            signal.signal(());
            sleep(Duration::from_millis(1)).await;
            Ok(())
        })
        .await
    }

    /// A line that is handed over before the next one.
    async fn console(&mut self) {
        let outcome = self
            .rounds(self.times / LESS, async || {
                println!("a line of thirty-two characters.");
                console::flush().await;
                Ok(())
            })
            .await;
        self.keep("console line", outcome);
    }

    async fn disk(&mut self) {
        let outcome = self.reads().await;
        self.keep("4 KiB read from a disk", outcome);
    }

    async fn reads(&self) -> Outcome {
        let disk = self.context.first_disk().await.ok_or("there is no disk")?;
        let blocks = (disk.geometry().bytes / BLOCK).max(1);
        let mut buffer = disks::buffer(BLOCK as usize);
        let mut index = 0;
        self.rounds(self.times, async || {
            let free = buffer.take().ok_or("there is no memory")?;
            buffer = Some(disk.read(index * STRIDE % blocks * BLOCK, free).await?);
            index += 1;
            Ok(())
        })
        .await
    }

    async fn network(&mut self) {
        let outcome = match self.context.network(0).await {
            Ok(stack) => self.round_trips(stack).await,
            Err(error) => Err(error.into()),
        };
        self.keep("packet there and back", outcome);
    }

    /// Datagrams to the network's server of names, each once the one before was answered.
    async fn round_trips(&self, stack: Stack<'static>) -> Outcome {
        let server: Ipv4Addr = stack
            .config_v4()
            .and_then(|config| config.dns_servers.first().copied())
            .ok_or("the network tells of no server of names")?;
        let mut metadata = [[PacketMetadata::EMPTY; 4]; 2];
        let [received, sent] = &mut metadata;
        let mut buffers = [vec![0; 2048], vec![0; 2048]];
        let [receive, send] = &mut buffers;
        let mut socket = UdpSocket::new(stack, received, receive, sent, send);
        socket.bind(0).map_err(|error| format!("{error:?}"))?;
        let mut answer = [0; 512];
        self.rounds(self.times, async || {
            let to = (IpAddress::from(server), NAMES);
            socket.send_to(QUERY, to).await.map_err(|error| format!("{error:?}"))?;
            socket.recv_from(&mut answer).await.map_err(|error| format!("{error:?}"))?;
            Ok(())
        })
        .await
    }
}

type Wakeup = Signal<prism::sync::Lock, ()>;

/// What is in a node of xenstore, once there is anything.
async fn heard(store: &prism::xen::xenstore::Client, path: &str) -> prism::Result<String> {
    let mut watch = store.watch(path).await?;
    loop {
        watch.next().await?;
        match store.read_str(path).await {
            Ok(value) if !value.is_empty() => return Ok(value),
            _ => {} // not there yet
        }
    }
}
