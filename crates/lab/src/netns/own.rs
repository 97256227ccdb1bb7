//! The lab's own server, where a world needs one that Debian doesn't have: the simulator's server behind real sockets.

use super::wire::now;
use crate::sim::daemon::Datagram;
use crate::sim::ip::{CLASS_6, TTL};
use crate::sim::make::{Family, Make};
use crate::sim::server::{Answer, NTP, Server, UNSYNCHRONISED};
use crate::world::{Serves, Span};
use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use ntpscope_core::time::{SECOND, Time};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it sleeps at the most: then it looks whether it is to end.
const NAP: i64 = SECOND / 50;
/// The longest datagram on an Ethernet.
const LONGEST: usize = 1472;

/// What faults do to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disturbed {
    /// Paused: what comes waits.
    pub paused: bool,
    /// Says that it is not synchronised.
    pub unsynchronised: bool,
    /// How far what it serves is wrong, in seconds.
    pub wrong_s: f64,
    /// How late it answers, and the share of requests that it drops.
    pub busy: Option<(Span, f64)>,
}

struct State {
    server: Server,
    disturbed: Disturbed,
    said: Serves,
    ends: bool,
}

/// A server that runs.
pub struct Own {
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

/// What waits: for the daemon, and for its time to be sent.
#[derive(Default)]
struct Queues {
    waiting: Vec<(Datagram, i64)>,
    answers: Vec<(i64, Answer)>,
}

impl State {
    /// What its clock shows: the machine's, and how wrong the world makes it.
    fn clock(&self, at: i64) -> Time {
        let age_s = (at - self.server.since) as f64 / 1e9;
        let ahead_s = self.said.wrong_s + self.said.drift_ppm * 1e-6 * age_s + self.disturbed.wrong_s;
        Time(at + (ahead_s * 1e9) as i64)
    }

    fn system(&self, at: i64) -> crate::sim::daemon::System {
        if self.disturbed.unsynchronised || self.said.unsynchronised || self.said.stratum.is_none() {
            return UNSYNCHRONISED;
        }
        self.server.reference(self.clock(at), at)
    }
}

impl Own {
    /// Starts to serve at these addresses; to be called in its host's room.
    ///
    /// # Errors
    /// The port is taken, or the access list can't be.
    pub fn start(make: &Make, said: &Serves, addresses: &[IpAddr], seed: u64) -> Result<Own> {
        let sockets = addresses.iter().map(|address| {
            let socket = UdpSocket::bind((*address, NTP)).with_context(|| format!("listen at {address}"))?;
            socket.set_nonblocking(true)?;
            if address.is_ipv4() && matches!(make.family, Family::Classic | Family::Ntpsec) {
                setsockopt(&socket, sockopt::Ipv4Tos, &(i32::from(CLASS_6) << 2)).context("set a traffic class")?;
            }
            Ok((*address, socket))
        });
        let sockets: Vec<(IpAddr, UdpSocket)> = sockets.collect::<Result<_>>()?;
        let server = Server::new(make.clone(), said, now(), seed)?;
        let state = State { server, disturbed: Disturbed::default(), said: said.clone(), ends: false };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("server".into());
        let thread = thread.spawn(move || serve(&shared, &sockets)).context("start a thread")?;
        Ok(Own { state, thread: Some(thread) })
    }

    /// Changes what faults do to it.
    pub fn disturb(&self, change: impl FnOnce(&mut Disturbed)) {
        let mut state = lock(&self.state);
        change(&mut state.disturbed);
        state.server.busy = state.disturbed.busy;
    }

    /// What somebody sees who asks it; nothing where it is paused.
    #[must_use]
    pub fn look(&self) -> Option<String> {
        let mut state = lock(&self.state);
        if state.disturbed.paused {
            return None;
        }
        let at = now();
        let (clock, system) = (state.clock(at), state.system(at));
        Some(state.server.look(at, clock, Some(&system)))
    }

    /// Name and text of its configuration.
    #[must_use]
    pub fn configuration(&self) -> (&'static str, String) {
        lock(&self.state).server.configuration()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        lock(&self.state).ends = true;
        if let Some(thread) = self.thread.take() {
            // One that broke has said why.
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(state: &Mutex<State>, sockets: &[(IpAddr, UdpSocket)]) {
    let mut queues = Queues::default();
    let mut buffer = [0; LONGEST];
    loop {
        let next = queues.answers.iter().map(|(at, _)| *at - now()).min();
        let next = next.unwrap_or(NAP).clamp(0, NAP);
        let mut polled: Vec<PollFd> =
            sockets.iter().map(|(_, socket)| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        // Whatever ends the sleep: all sockets are looked at.
        let _ = ppoll(&mut polled, Some(TimeSpec::from_duration(Duration::from_nanos(next as u64))), None);
        for (own, socket) in sockets {
            while let Ok((length, source)) = socket.recv_from(&mut buffer) {
                let destination = SocketAddr::new(*own, NTP);
                let payload = buffer[..length].to_vec();
                queues.waiting.push((Datagram { source, destination, ttl: TTL, dscp: 0, payload }, now()));
            }
        }
        let mut state = lock(state);
        if state.ends {
            return;
        }
        for datagram in queues.step(&mut state) {
            let from = datagram.source.ip();
            let socket = sockets.iter().find(|(own, _)| *own == from).or(sockets.first());
            if let Some((_, socket)) = socket {
                // A host without a way back can't send; nobody is told.
                let _ = socket.send_to(&datagram.payload, datagram.destination);
            }
        }
    }
}

impl Queues {
    /// Takes in what waits, unless the daemon is paused; what is to be sent now is returned.
    fn step(&mut self, state: &mut State) -> Vec<Datagram> {
        if state.disturbed.paused {
            return Vec::new();
        }
        let at = now();
        for (datagram, arrived) in self.waiting.drain(..) {
            let received = state.clock(arrived);
            if let Some(answer) = state.server.receive(&datagram, received, at) {
                self.answers.push((at + state.server.takes(), answer));
            }
        }
        let (due, later) = std::mem::take(&mut self.answers).into_iter().partition(|(when, _)| *when <= at);
        self.answers = later;
        let due: Vec<(i64, Answer)> = due;
        due.iter().map(|(_, answer)| state.server.reply(answer, &state.system(at), state.clock(now()))).collect()
    }
}
