// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application is, and what it is given.

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

use crate::boot::environment::Environment;
use crate::devices::disks::{self, Disk};
use crate::hypervisor::{lifecycle, xenstore};
use crate::task::executor::{self, SpawnError};
use crate::{console, entropy, memory, time};

/// Makes an image out of an `async fn main(context: Context)`.
///
/// It may return nothing, a [`Verdict`], or a `Result` of either; see [`Outcome`]. Words that the
/// application reads from the command line are named behind it; others are warned of at boot.
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
        /// The kernel starts this.
        #[unsafe(no_mangle)]
        fn prism_application() -> $crate::app::Application {
            $crate::app::Application {
                name: env!("CARGO_PKG_NAME"),
                params: &[$($word),*],
                main: |context| $crate::app::boxed(async move { $main(context).await }),
            }
        }

        #[panic_handler]
        fn prism_panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::panicked(info)
        }

        #[global_allocator]
        static PRISM_HEAP: $crate::memory::Heap = $crate::memory::Heap;
    };
}

/// A main that has been started.
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

/// How a run ended, in the words of XTF (`docs/` of the Xen Test Framework, "Test status"), so that Xen's
/// own tools can judge an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Success,
    /// What is needed to judge is not there.
    Skip,
    /// Something unexpected got in the way.
    Error,
    /// What was tested is broken.
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

/// What an application is given: where it runs, and what it was told.
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

    /// The TCP/IP stack on network interface `index`, from 0, once it has an address. It is handed out
    /// once, and can be copied. It belongs to this vCPU. Who gets none may ask again here.
    ///
    /// # Errors
    ///
    /// If there is no such interface, its backend does not connect within 10 seconds, its card has no
    /// cable, or the network gives no address within 30.
    pub async fn network(
        &self,
        index: usize,
    ) -> Result<embassy_net::Stack<'static>, crate::network::NetworkError> {
        crate::network::open(index, self).await
    }

    /// Waits until the toolstack asks the domain to switch off or to start again. Who waits for
    /// this at that moment has 10 seconds to let main return; otherwise the domain ends at once. So does one
    /// whose application has dropped the future: keep it while other things are done, by `select`.
    pub async fn shutdown_requested(&self) {
        lifecycle::shutdown_requested().await;
    }

    /// The disks, in the same order at each boot: those that the domain was started with, and that
    /// work, and what was plugged in since.
    pub async fn disks(&self) -> Vec<Arc<Disk>> {
        disks::all().await
    }

    /// The disk that is meant by this name, such as `xvda` or `/dev/sdb`; `None` if there is none. A disk of
    /// exactly this name comes first; a name with another prefix than the disk has will do.
    pub async fn disk(&self, name: &str) -> Option<Arc<Disk>> {
        let (disk, partition) = disks::find(name).await?;
        partition.is_none().then_some(disk)
    }

    /// The disk that is meant by this name, and the number of the partition if it names one, such as
    /// `xvda2` where no disk has that name; `None` if there is no such disk. Whether there is such a
    /// partition is another question.
    pub async fn disk_or_partition(&self, name: &str) -> Option<(Arc<Disk>, Option<u32>)> {
        disks::find(name).await
    }

    /// Waits until there is a disk of exactly this name: one that is plugged in later, perhaps never.
    pub async fn wait_for_disk(&self, name: &str) -> Arc<Disk> {
        disks::named(name).await
    }

    /// Time since early in boot: even, and never going back. [`task::Instant`](crate::task::Instant) is
    /// the same clock.
    pub fn uptime(&self) -> Duration {
        Duration::from_nanos(time::nanoseconds())
    }

    /// Time since 1970-01-01 00:00 UTC, if anybody tells: see [`wall_clock`](time::wall_clock).
    pub fn wall_clock(&self) -> Option<Duration> {
        time::wall_clock()
    }

    /// A generator of random numbers: see [`entropy`].
    pub fn random(&self) -> entropy::Random {
        entropy::Random
    }

    /// Starts a task on the vCPU that calls: the simplest way, as nothing in it has to be `Send`.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoMemory`].
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) -> Result<(), SpawnError> {
        executor::spawn(task)
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

    /// Starts a task on the vCPU that has the fewest.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoMemory`].
    pub fn spawn_anywhere(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), SpawnError> {
        executor::spawn_anywhere(task)
    }

    /// The numbers of the vCPUs that run tasks, from 0.
    pub fn vcpus(&self) -> impl Iterator<Item = u32> + use<> {
        executor::running()
    }

    /// The number of the vCPU that the calling task runs on.
    pub fn vcpu(&self) -> u32 {
        prism_arch::vcpu::number()
    }

    /// Waits for a line to be typed, and returns it without its end. At most `limit` bytes are
    /// kept; backspace takes back the last one; what is not UTF-8 is replaced.
    pub async fn read_line(&self, limit: usize) -> String {
        const BACKSPACE: u8 = 0x08;
        const DELETE: u8 = 0x7f;
        const BYTES_A_TURN: u32 = 256;
        let mut line = alloc::vec::Vec::new();
        let mut left = BYTES_A_TURN;
        loop {
            if left == 0 {
                // Who types for ever must not keep others from running.
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
