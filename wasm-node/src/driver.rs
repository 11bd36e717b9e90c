//! The loop that runs a node in a tab: what sockets tell goes into the core's driver, and what it
//! says is done.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::FutureExt;
use gloo::events::EventListener;
use gloo::timers::future::TimeoutFuture;
use peerage::Time;
use peerage::limits::ADDRESSES_MAX;
use peerage::link::LinkId;
use peerage::node::{Action, Driver, Input, without_secrets};
use web_sys::{RtcDataChannel, WebSocket};

use crate::platform::Clock;
use crate::websocket;

/// Bytes in a socket's own buffer above which the link counts as busy.
const BUFFERED_BYTES_BUSY: u32 = 256 * 1024;
/// Bytes left when it counts as ready again: enough to go on with until more comes.
pub(crate) const BUFFERED_BYTES_READY: u32 = BUFFERED_BYTES_BUSY / 2;
/// How often a busy WebSocket is looked at: it has no event for it, as a data channel has.
const BUSY_CHECK_MS: u32 = 5;

/// A link's socket.
pub(crate) enum Socket {
    /// To the relay.
    WebSocket(
        WebSocket,
        #[expect(dead_code, reason = "dropped with the socket")] Vec<EventListener>,
    ),
    /// To a peer.
    Channel(RtcDataChannel),
}

/// Where sockets tell what happened. Clones are the same.
#[derive(Clone)]
pub(crate) struct Inputs(Rc<Tab>);

struct Tab {
    driver: Driver,
    clock: Clock,
    /// The relays, of which the first is called next.
    relays: RefCell<Vec<String>>,
    /// The relay that was called last.
    called: RefCell<String>,
    sockets: RefCell<HashMap<LinkId, Socket>>,
    next_link: Cell<u64>,
    /// Wakes the loop, and when it wakes by itself.
    waker: RefCell<Waker>,
    timer: Cell<Option<Time>>,
}

impl Inputs {
    pub(crate) fn new(driver: Driver, clock: Clock, relay: String) -> Self {
        Self(Rc::new(Tab {
            driver,
            clock,
            called: RefCell::new(relay.clone()),
            relays: RefCell::new(vec![relay]),
            sockets: RefCell::default(),
            next_link: Cell::default(),
            waker: RefCell::new(Waker::noop().clone()),
            timer: Cell::default(),
        }))
    }

    /// Tells the core, and does at once what follows: a page that is being closed has no later.
    pub(crate) fn tell(&self, input: Input) {
        if let Input::LinkDown(id, _) = &input {
            self.0.sockets.borrow_mut().remove(id);
        }
        self.0.driver.handle(self.0.clock.now(), input);
        self.act_all();
    }

    /// A call that came to nothing: its socket is not needed any more.
    pub(crate) fn dial_failed(&self, id: LinkId, told: String, reason: String) {
        self.0.sockets.borrow_mut().remove(&id);
        self.tell(Input::CallFailed(told, reason.clone()));
        self.tell(Input::DialFailed(reason));
    }

    /// A new link, with its socket.
    pub(crate) fn add(&self, socket: Socket, origin: peerage::link::Origin) -> LinkId {
        let id = self.new_link();
        self.0.sockets.borrow_mut().insert(id, socket);
        self.tell(Input::LinkUp(id, origin));
        id
    }

    /// The address of the relay that was called last.
    pub(crate) fn relay(&self) -> String {
        self.0.called.borrow().clone()
    }

    /// The node's time.
    pub(crate) fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// Does all that is to be done now.
    pub(crate) fn act_all(&self) {
        let waker = self.0.waker.borrow().clone();
        let alive = self.act(&Context::from_waker(&waker));
        // The loop sees to the end, and to a deadline before the one that it knows.
        let due = self.0.driver.deadline();
        if !alive || due.is_some_and(|due| self.0.timer.get().is_none_or(|timer| due < timer)) {
            waker.wake();
        }
    }

    /// Runs the node until it has left.
    pub(crate) async fn run(self) {
        let mut timer: Option<TimeoutFuture> = None;
        poll_fn(|cx| {
            self.0.waker.replace(cx.waker().clone());
            loop {
                if !self.act(cx) {
                    return Poll::Ready(());
                }
                // A timer wakes this task when it is dropped, so one that is right must stay.
                let due = self.0.driver.deadline();
                if timer.is_none() || self.0.timer.get() != due {
                    self.0.timer.set(due);
                    timer = due.map(|due| self.timer(due));
                }
                match timer.as_mut().map(|timer| timer.poll_unpin(cx)) {
                    Some(Poll::Ready(())) => timer = None,
                    Some(Poll::Pending) | None => return Poll::Pending,
                }
            }
        })
        .await;
    }

    fn timer(&self, due: Time) -> TimeoutFuture {
        let wait = due.saturating_sub(self.0.clock.now());
        TimeoutFuture::new(wait.as_millis().min(60_000) as u32 + 1)
    }

    fn act(&self, cx: &Context<'_>) -> bool {
        loop {
            match self.0.driver.poll_action(self.0.clock.now(), cx) {
                Poll::Pending => return true,
                Poll::Ready(Action::Finish) => return false,
                Poll::Ready(Action::Dial) => self.dial(),
                Poll::Ready(Action::DialAt(address)) => self.dial_at(address),
                Poll::Ready(Action::Send(id, packet)) => self.send(id, &packet),
                Poll::Ready(Action::Close(id, _)) => self.close(id),
            }
        }
    }

    /// Calls the first of the relays; it is the last one from now on.
    fn dial(&self) {
        let mut relays = self.0.relays.borrow_mut();
        let relay = relays.first().cloned().unwrap_or_default();
        relays.rotate_left(1);
        drop(relays);
        self.call(&relay);
    }

    /// Calls a relay that was named just now, and before the others from now on.
    fn dial_at(&self, address: String) {
        let mut relays = self.0.relays.borrow_mut();
        relays.retain(|known| *known != address);
        relays.insert(0, address.clone());
        relays.truncate(ADDRESSES_MAX);
        drop(relays);
        self.call(&address);
    }

    fn call(&self, address: &str) {
        address.clone_into(&mut self.0.called.borrow_mut());
        let id = self.new_link();
        let told = without_secrets(address);
        self.note(Input::Calling(told.clone()));
        match websocket::dial(self, id, address, told.clone()) {
            Ok(socket) => {
                self.0.sockets.borrow_mut().insert(id, socket);
            }
            Err(reason) => {
                self.note(Input::CallFailed(told, reason.clone()));
                self.note(Input::DialFailed(reason));
            }
        }
    }

    /// Tells the core, whose next action is asked for already.
    fn note(&self, input: Input) {
        self.0.driver.handle(self.0.clock.now(), input);
    }

    fn send(&self, id: LinkId, packet: &Bytes) {
        let sockets = self.0.sockets.borrow();
        let Some(socket) = sockets.get(&id) else {
            return;
        };
        let sent = match socket {
            Socket::WebSocket(socket, _) => socket.send_with_u8_array(packet),
            Socket::Channel(channel) => channel.send_with_u8_array(packet),
        };
        let tells = matches!(socket, Socket::Channel(_));
        let busy = socket.buffered_bytes() > BUFFERED_BYTES_BUSY;
        drop(sockets);
        let now = self.0.clock.now();
        if sent.is_err() {
            // A socket that was closed here without an event, as `RTCPeerConnection.close` does.
            self.0.sockets.borrow_mut().remove(&id);
            self.0.driver.handle(
                now,
                Input::LinkDown(id, String::from("the socket is closed")),
            );
        } else if busy {
            self.0.driver.handle(now, Input::Writable(id, false));
            if !tells {
                wasm_bindgen_futures::spawn_local(self.clone().until_ready(id));
            }
        }
    }

    async fn until_ready(self, id: LinkId) {
        loop {
            TimeoutFuture::new(BUSY_CHECK_MS).await;
            let buffered = self.0.sockets.borrow().get(&id).map(Socket::buffered_bytes);
            match buffered {
                None => return,
                Some(bytes) if bytes <= BUFFERED_BYTES_READY => break,
                Some(_) => {}
            }
        }
        self.tell(Input::Writable(id, true));
    }

    fn close(&self, id: LinkId) {
        match self.0.sockets.borrow_mut().remove(&id) {
            // The browser sends what it has buffered before it closes.
            Some(Socket::WebSocket(socket, _)) => {
                let _ = socket.close();
            }
            Some(Socket::Channel(channel)) => channel.close(),
            None => return,
        }
        self.note(Input::LinkDown(id, String::new()));
    }

    fn new_link(&self) -> LinkId {
        let id = self.0.next_link.get();
        self.0.next_link.set(id + 1);
        LinkId(id)
    }
}

impl Socket {
    fn buffered_bytes(&self) -> u32 {
        match self {
            Self::WebSocket(socket, _) => socket.buffered_amount(),
            Self::Channel(channel) => channel.buffered_amount(),
        }
    }
}
