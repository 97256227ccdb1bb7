//! Who hears which broadcasts: captures, clients' records of packets, and clients' statistics.

use super::config;
use crate::model::{InputId, Origin};
use crate::rules::Summaries;
use crate::rules::senders::{Listener, Speech, Way};
use crate::scene::{Scene, is_clock};
use crate::time::Time;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// The group of NTP, where a configuration names none (RFC 5905 §6, `multicastclient`).
const NTP_GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 1, 1));

/// What one listener heard of one group.
#[derive(Clone, Debug)]
pub struct Hearing {
    /// What a report calls it: `capture x1_eth0`, `rawstats of x1`.
    pub words: String,
    /// Whose capture or statistics it is.
    pub host: Option<String>,
    /// Whether it is a client's own record of packets that it took, not a capture of what went past.
    pub own: bool,
    /// To whom the packets went.
    pub group: IpAddr,
    /// How often each sender was heard.
    pub senders: BTreeMap<IpAddr, Heard>,
    /// The packets in the order of time, window by window.
    pub windows: Vec<Vec<Speech>>,
    /// How to count again.
    pub recipe: String,
}

/// How often one sender was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Packets, or samples made of them.
    pub n: u64,
    /// The first, and where.
    pub first: (Time, Origin),
    /// The last, and where.
    pub last: (Time, Origin),
    /// The poll interval that it announces, as exponent of 2 s.
    pub poll: Option<i8>,
}

/// One view of one group: the host, its capture point unless it is the host's records, and the group.
type Key = (Option<String>, Option<Listener>, IpAddr);

/// All that was heard.
#[must_use]
pub fn hearings(rules: &Summaries, scene: &Scene) -> Vec<Hearing> {
    let mut found: BTreeMap<Key, (Hearing, Vec<Listener>)> = BTreeMap::new();
    for (way, count) in rules.senders.ways() {
        let (host, words, recipe) = listener(way, scene);
        // The records of a host are one, however many files they are in; each capture point is one.
        let point = Some(way.listener).filter(|listener| matches!(listener, Listener::Point(_)));
        let (hearing, listeners) = found.entry((host.clone(), point, way.group)).or_insert_with(|| {
            let (senders, windows, own) = (BTreeMap::new(), Vec::new(), point.is_none());
            (Hearing { words, host, own, group: way.group, senders, windows, recipe }, Vec::new())
        });
        let heard = Heard { n: count.n, first: count.first, last: count.last, poll: count.poll };
        hearing.senders.entry(way.sender).and_modify(|known| known.add(heard)).or_insert(heard);
        listeners.push(way.listener);
    }
    let whole = |(hearing, listeners): (Hearing, Vec<Listener>)| {
        let windows = rules.senders.windows(&listeners, hearing.group);
        Hearing { windows, ..hearing }
    };
    let mut all: Vec<Hearing> = found.into_values().map(whole).collect();
    for host in scene.hosts() {
        let has = |hearing: &Hearing| hearing.own && hearing.host.as_deref() == Some(host);
        if !all.iter().any(has) {
            all.extend(from_statistics(host, rules, scene));
        }
    }
    all
}

/// Whether a host hears a source without asking it: its reach register counts broadcasts then, not answers.
#[must_use]
pub fn is_unasked(host: &str, source: IpAddr, rules: &Summaries, scene: &Scene) -> bool {
    let inputs = scene.inputs_of(host);
    let said = config::ntpd(rules, &inputs);
    let recorded = |way: &Way| matches!(way.listener, Listener::Records(input) if inputs.contains(&input));
    let heard = || rules.senders.ways().any(|(way, _)| way.sender == source && recorded(&way));
    !said.asks(source) && (said.listens_to().is_some() || heard())
}

impl Heard {
    fn add(&mut self, other: Heard) {
        self.n += other.n;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.poll = self.poll.max(other.poll);
    }
}

/// Whose a listener is, what it is called, and how its senders are counted.
fn listener(way: Way, scene: &Scene) -> (Option<String>, String, String) {
    match way.listener {
        Listener::Point(point) => {
            let words = format!("capture {}", scene.point_name(point));
            let host = scene.host_of_point(point).map(str::to_owned);
            let file =
                scene.points().find(|(id, _)| *id == point).map_or("CAPTURE", |(_, p)| scene.input_name(p.input));
            let recipe = format!("tshark -r {file} -Y 'ntp.flags.mode == 5' -T fields -e ip.src | sort | uniq -c");
            (host, words, recipe)
        }
        Listener::Records(input) => {
            let host = scene.host_of_input(input);
            let name = host.as_deref().unwrap_or_else(|| scene.input_name(input));
            let file = scene.input_name(input);
            let recipe = match file.rfind("rawstats") {
                // All days of it; the current one may be there twice, under two names.
                Some(at) => format!(
                    "sort -u {}rawstats* | awk '$4 == \"{}\" {{print $3}}' | sort | uniq -c",
                    &file[..at],
                    way.group
                ),
                None => format!("ntpscope rows {file}"),
            };
            (host.clone(), format!("the records of {name}"), recipe)
        }
    }
}

/// What a client of broadcasts says of its sources, where it keeps no record of packets: those that nobody configured
/// are the group's.
fn from_statistics(host: &str, rules: &Summaries, scene: &Scene) -> Option<Hearing> {
    let inputs: Vec<InputId> = scene.inputs_of(host);
    let said = config::ntpd(rules, &inputs);
    let group = said.listens_to()?.unwrap_or(NTP_GROUP);
    let (mut senders, mut window) = (BTreeMap::new(), Vec::new());
    for (source, samples) in rules.series.sources(&inputs) {
        let Some(sender) = source.parse::<IpAddr>().ok().filter(|a| !is_clock(*a) && !said.asks(*a)) else { continue };
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { continue };
        let (first, last) = ((first.time, first.origin), (last.time, last.origin));
        senders.insert(sender, Heard { n: samples.len() as u64, first, last, poll: None });
        window.extend(samples.iter().map(|s| Speech { time: s.time, sender, reference: 0, origin: s.origin }));
    }
    window.sort_unstable();
    // Where only extremes are held, the order of packets is lost.
    let windows = if rules.series.bin_s().is_none() { vec![window] } else { Vec::new() };
    let (words, host) = (format!("the statistics of {host}"), Some(host.to_owned()));
    let recipe = "sort -u peerstats* | awk '{print $3}' | sort | uniq -c".into();
    (!senders.is_empty()).then_some(Hearing { words, host, own: true, group, senders, windows, recipe })
}
