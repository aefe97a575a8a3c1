// SPDX-License-Identifier: MIT OR Apache-2.0

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arbitrary::Arbitrary;
use prism_fuzz::fuzz_target;
use xen::DomainId;
use xen::xenbus::{self, Device, Frontend, StepLimit};
use xen::xenstore::wire::{Header, Kind};
use xen::xenstore::{Client, Error, Event, Watch, fake};

/// What tasks ask, and what an xenstored that may do anything does.
#[derive(Arbitrary, Debug)]
enum Step {
    Ask(Request),
    /// Drops one of the tasks that wait.
    Drop(u8),
    /// Lets all tasks go on.
    Poll,
    Pump,
    /// Reads all requests, answers them as it should be, and lets the tasks go on.
    Serve,
    /// Reads requests, and checks them.
    Read,
    /// Answers the oldest request that was read, as it should be or nearly so.
    Reply(Payload),
    /// Sends an event for each of so many paths.
    Flood {
        token: u8,
        count: u8,
    },
    /// Answers a request, or one that was never made.
    Answer {
        request: u8,
        kind: u8,
        payload: Payload,
    },
    /// Writes anything.
    Bytes(Vec<u8>),
    /// Changes a word of the page.
    Word(Word, u32),
    Reconnect,
    Restore,
}

#[derive(Arbitrary, Debug)]
enum Request {
    Read(String),
    Write(String, Vec<u8>),
    Directory,
    Permissions,
    Home,
    Watch(bool),
    Transaction,
    Device,
}

#[derive(Arbitrary, Debug)]
enum Payload {
    Any(Vec<u8>),
    Ok,
    Number(u8),
    Error(u8),
    Descriptor(u8),
    Event { path: u8, token: u8 },
}

#[derive(Arbitrary, Debug)]
enum Word {
    RequestsRead,
    RequestsWritten,
    AnswersRead,
    AnswersWritten,
    Features,
    Connection,
    Error,
}

const EVENT: u32 = Kind::WatchEvent.number();

type Task = Pin<Box<dyn Future<Output = ()>>>;
static PAGE: LazyLock<fake::Page> = LazyLock::new(fake::page);

fuzz_target!(|input: (u32, Vec<Step>)| {
    let (start, steps) = input;
    let mut host = Host::new(start);
    let client = Client::new(*PAGE);
    let mut tasks = Vec::new();
    for step in steps {
        match step {
            Step::Ask(request) => tasks.push(task(client.clone(), request)),
            Step::Drop(index) if !tasks.is_empty() => drop(tasks.remove(usize::from(index) % tasks.len())),
            Step::Drop(_) => {}
            Step::Poll => poll(&mut tasks),
            Step::Pump => {
                let _ = client.pump();
            }
            Step::Serve => {
                poll(&mut tasks);
                let _ = client.pump();
                host.read();
                host.serve();
                let _ = client.pump();
                poll(&mut tasks);
            }
            Step::Read => host.read(),
            Step::Reply(payload) => host.reply(payload),
            Step::Flood { token, count } => {
                (0..count).for_each(|path| host.answer(0, EVENT, Payload::Event { path, token }));
            }
            Step::Answer { request, kind, payload } => {
                host.answer(request.into(), u32::from(kind % 24), payload)
            }
            Step::Bytes(bytes) => host.write(&bytes),
            Step::Word(word, value) => host.set(word, value),
            Step::Reconnect => {
                host.stream = None;
                client.reconnect();
            }
            Step::Restore => {
                host.stream = None;
                client.restore(*PAGE);
            }
        }
    }
    host.kill();
    let _ = client.pump();
    assert!(client.disconnect_reason().is_some());
    for _ in 0..64 {
        poll(&mut tasks);
        let _ = client.pump();
    }
    assert!(tasks.is_empty(), "a task waits for a connection that is dead");
});

fn poll(tasks: &mut Vec<Task>) {
    let mut context = Context::from_waker(Waker::noop());
    tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
}

fn task(client: Client, request: Request) -> Task {
    Box::pin(async move {
        match request {
            Request::Read(path) => drop(client.read(&path).await),
            Request::Write(path, value) => drop(client.write(&path, value).await),
            Request::Directory => check_names(client.directory("data").await),
            Request::Permissions => drop(client.get_perms("data").await),
            Request::Home => drop(client.get_domain_path(DomainId(1)).await),
            Request::Watch(keep) => watch(client.watch("data").await, keep).await,
            Request::Transaction => drop(transact(&client).await),
            Request::Device => connect(&client).await,
        }
    })
}

fn check_names(names: Result<Vec<String>, Error>) {
    for name in names.unwrap_or_default() {
        assert!(
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_@".contains(&byte))
        );
    }
}

async fn watch(watch: Result<Watch, Error>, keep: bool) {
    let Ok(mut watch) = watch else { return };
    while let Ok(event) = watch.next().await {
        check_event(&event);
        let mut events = 1;
        while let Poll::Ready(Ok(event)) = watch.poll_next(&mut Context::from_waker(Waker::noop())) {
            check_event(&event);
            events += 1;
        }
        assert!(events <= 16, "more events were kept than are promised");
        if !keep {
            return;
        }
    }
}

fn check_event(event: &Event) {
    assert!(event.path == "data" || event.path.starts_with("data/"));
    assert!(!event.overflow || event.path == "data");
}

async fn transact(client: &Client) -> Result<(), Error> {
    client
        .transaction(&no_time, async |transaction| {
            let number = transaction.value("data").await?.integer(1..=9)?;
            transaction.write("data", number.to_string()).await
        })
        .await
}

fn no_time(_: Duration) -> impl Future<Output = ()> + Send {
    ready(())
}

async fn connect(client: &Client) {
    let Ok(device) = Device::open(client, "device/vbd/0").await else { return };
    let mut driver = Driver { shared: false, stopped: false };
    let _ = xenbus::run(&device, &mut driver, &no_time, &StepLimit::new(Duration::from_secs(1))).await;
    assert!(!driver.shared);
}

struct Driver {
    shared: bool,
    stopped: bool,
}

impl Frontend for Driver {
    type Error = Error;

    async fn publish(&mut self, device: &Device) -> Result<(), Error> {
        assert!(!std::mem::replace(&mut self.shared, true));
        self.stopped = false;
        device.write("ring-ref", "8").await
    }

    async fn connect(&mut self, device: &Device) -> Result<(), Error> {
        assert!(self.shared && !self.stopped);
        device.read("sectors").await.map(drop)
    }

    async fn serve(&mut self) -> Result<(), Error> {
        assert!(self.shared && !self.stopped);
        Ok(())
    }

    fn stop(&mut self) {
        assert!(!std::mem::replace(&mut self.stopped, true));
    }

    async fn release(&mut self) {
        assert!(self.stopped);
        self.shared = false;
    }

    fn abandon(&mut self) {
        self.shared = false;
    }
}

/// The other side of the page.
struct Host {
    /// Requests as far as they have come; `None` once the page was tampered with or reset, when
    /// they need not make sense any more.
    stream: Option<Vec<u8>>,
    /// Number and kind of the requests that were read and not answered.
    requests: VecDeque<(u32, u32)>,
}

impl Host {
    fn new(start: u32) -> Self {
        let mut words = PAGE.read();
        (words.req_cons, words.req_prod, words.rsp_cons, words.rsp_prod) = (start, start, start, start);
        (words.server_features, words.connection, words.error) = (3, 0, 0);
        PAGE.write(words);
        Self { stream: Some(Vec::new()), requests: VecDeque::new() }
    }

    fn read(&mut self) {
        let mut words = PAGE.read();
        while words.req_cons != words.req_prod && words.req_prod.wrapping_sub(words.req_cons) <= 1024 {
            let byte = words.req[words.req_cons as usize % 1024];
            self.stream.iter_mut().for_each(|stream| stream.push(byte));
            words.req_cons = words.req_cons.wrapping_add(1);
        }
        PAGE.write(words);
        while self.take_request() {}
    }

    /// Whether a whole request was there.
    fn take_request(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let Some(header) = stream.first_chunk() else {
            assert!(stream.is_empty(), "a header was cut in two");
            return false;
        };
        let header = Header::decode(*header).expect("a request is too long");
        assert!(header.request != 0);
        let size = Header::SIZE + header.length as usize;
        if stream.len() < size {
            return false;
        }
        stream.drain(..size);
        self.requests.push_back((header.request, header.kind));
        true
    }

    fn serve(&mut self) {
        while let Some((_, kind)) = self.requests.front() {
            self.reply(if *kind == Kind::Write.number() || *kind == Kind::Watch.number() {
                Payload::Ok
            } else {
                Payload::Number(4)
            });
        }
    }

    fn reply(&mut self, payload: Payload) {
        let Some((request, kind)) = self.requests.pop_front() else { return };
        let refused = matches!(payload, Payload::Error(_));
        self.answer(request, if refused { Kind::Error.number() } else { kind }, payload);
    }

    fn answer(&mut self, request: u32, kind: u32, payload: Payload) {
        let payload = match payload {
            Payload::Any(bytes) => bytes,
            Payload::Ok => b"OK\0".to_vec(),
            Payload::Number(number) => format!("{number}\0").into_bytes(),
            Payload::Error(error) => {
                ["EAGAIN\0", "E2BIG\0", "ENOENT\0", "EEXIST\0", "EWHAT\0"][usize::from(error) % 5].into()
            }
            Payload::Descriptor(generation) => format!("{generation}\0x{generation}\0").into_bytes(),
            Payload::Event { path, token } => format!("data/{path}\0{token}\0").into_bytes(),
        };
        let header = Header { kind, request, transaction: 0, length: payload.len() as u32 };
        self.write(&[&header.encode(), &payload[..]].concat());
    }

    /// Writes as much as fits.
    fn write(&mut self, bytes: &[u8]) {
        let mut words = PAGE.read();
        for byte in bytes {
            if words.rsp_prod.wrapping_sub(words.rsp_cons) >= 1024 {
                break;
            }
            words.rsp[words.rsp_prod as usize % 1024] = *byte;
            words.rsp_prod = words.rsp_prod.wrapping_add(1);
        }
        PAGE.write(words);
    }

    fn set(&mut self, word: Word, value: u32) {
        let mut words = PAGE.read();
        *match word {
            Word::RequestsRead => &mut words.req_cons,
            Word::RequestsWritten => &mut words.req_prod,
            Word::AnswersRead => &mut words.rsp_cons,
            Word::AnswersWritten => &mut words.rsp_prod,
            Word::Features => &mut words.server_features,
            Word::Connection => &mut words.connection,
            Word::Error => &mut words.error,
        } = value;
        PAGE.write(words);
        self.stream = None;
    }

    /// Ends the connection, whatever state it is in.
    fn kill(&mut self) {
        let mut words = PAGE.read();
        (words.server_features, words.connection, words.error) = (3, 0, 1);
        PAGE.write(words);
    }
}
