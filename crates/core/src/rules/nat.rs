//! Rule `nat`: how requests are rewritten on their way, by whom, and what the next mapping may be.

use super::exchange::Count;
use super::{Material, Sampled, Summary};
use crate::exchange::{Fate, Points};
use crate::model::{Action, At, Event, Flow, InputId, Origin, Row, What};
use std::net::IpAddr;

/// Flows and rules kept; a busy router tracks a million connections, and few of them are NTP.
const MOST_LISTED: usize = 1 << 14;

/// Rewrites that were seen or listed.
#[derive(Clone, Debug, Default)]
pub struct Mappings {
    seen: Sampled<Mapping, Outcome>,
    flows: Vec<(Flow, Origin)>,
    rules: Vec<(Translation, Origin)>,
    drops: Vec<(DropRule, Origin)>,
}

/// Requests that left one address and port and arrived from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mapping {
    /// Whom the client asked.
    pub server: IpAddr,
    /// The client's address and port before.
    pub inside: (IpAddr, u16),
    /// The NAT's address and port after. Ports from 1024 up are all written 1024: a NAT treats them alike.
    pub outside: (IpAddr, u16),
    /// Points that saw it before.
    pub before: Points,
    /// Points that saw it after.
    pub after: Points,
}

/// What became of requests with one mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// All.
    pub all: Count,
    /// Those that nothing answered.
    pub lost: u64,
}

/// A rule that rewrites source addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// The rule as listed.
    pub text: String,
    /// The ports it may choose from, where it says so.
    pub ports: Option<(u16, u16)>,
    /// Whether it draws a port for every connection.
    pub random: bool,
}

/// A rule that drops.
#[derive(Clone, Debug, PartialEq)]
pub struct DropRule {
    /// The chain's hook.
    pub hook: String,
    /// The rule as listed.
    pub text: String,
    /// Packets that it has matched, where it counts.
    pub packets: Option<u64>,
}

/// All ports from here up are one class to a NAT.
const HIGH: u16 = 1024;

impl Summary for Mappings {
    fn fold(&mut self, material: Material<'_>) {
        match material {
            Material::Exchange(exchange) => {
                let (near, far) = (exchange.near(), exchange.far());
                if near.source == far.source {
                    return;
                }
                let side = |of| exchange.requests.iter().filter(|s| s.source == of).map(|s| s.point).collect();
                let class = |(address, port): (IpAddr, u16)| (address, port.min(HIGH));
                let mapping = Mapping {
                    server: near.destination.0,
                    inside: class(near.source),
                    outside: class(far.source),
                    before: side(near.source),
                    after: side(far.source),
                };
                if let Some(outcome) = self.seen.entry(mapping) {
                    outcome.all.one(near.time, far.origin);
                    outcome.lost += u64::from(exchange.fate == Fate::Silent);
                }
            }
            Material::Row(&Row::Event(Event { at: At { origin, .. }, what })) => match what {
                What::Flow(flow) if flow.destination.1 == crate::wire::NTP_PORT => {
                    self.flows.push((flow, origin));
                }
                What::Rule(rule) => match rule.action {
                    Action::TranslateSource { ports, random } => {
                        self.rules.push((Translation { text: rule.text.into(), ports, random }, origin));
                    }
                    Action::Drop => {
                        let drop = DropRule { hook: rule.hook.into(), text: rule.text.into(), packets: rule.packets };
                        self.drops.push((drop, origin));
                    }
                    Action::TranslateDestination => {}
                },
                _ => {}
            },
            Material::Row(_) | Material::Heard(_) => {}
        }
        self.bound();
    }

    fn merge(&mut self, later: Self) {
        self.seen.merge(later.seen, |a, b| {
            a.all.add(b.all);
            a.lost += b.lost;
        });
        self.flows.extend(later.flows);
        self.rules.extend(later.rules);
        self.drops.extend(later.drops);
        self.bound();
    }
}

impl Mappings {
    fn bound(&mut self) {
        self.flows.truncate(MOST_LISTED);
        self.rules.truncate(MOST_LISTED);
        self.drops.truncate(MOST_LISTED);
    }
}

/// The ports that a NAT draws from when it must rewrite a source port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange(pub u16, pub u16);

impl PortRange {
    /// Linux keeps the class of the port without a range of its own (`nf_nat_l4proto_unique_tuple`).
    #[must_use]
    pub fn of_linux(port: u16) -> PortRange {
        match port {
            0..512 => PortRange(1, 511),
            512..1024 => PortRange(600, 1023),
            _ => PortRange(1024, 65535),
        }
    }

    /// The chance that one uniform draw is below `port`, the port itself being taken.
    ///
    /// ```
    /// use ntpscope_core::rules::nat::PortRange;
    /// assert!((PortRange::of_linux(123).chance_below(123) - 122.0 / 510.0).abs() < 1e-12);
    /// assert_eq!(PortRange(123, 511).chance_below(123), 0.0);
    /// ```
    #[must_use]
    pub fn chance_below(self, port: u16) -> f64 {
        let bad = i32::from(port.min(self.1.saturating_add(1))) - i32::from(self.0);
        let all = i32::from(self.1) - i32::from(self.0) + 1 - i32::from((self.0..=self.1).contains(&port));
        if bad <= 0 || all <= 0 { 0.0 } else { f64::from(bad) / f64::from(all) }
    }
}

impl Mappings {
    /// The rewrites that captures show, in order.
    pub fn seen(&self) -> impl Iterator<Item = (Mapping, Outcome)> {
        self.seen.sorted().into_iter().map(|(mapping, outcome)| (*mapping, *outcome))
    }

    /// The tracked flows towards NTP servers, as listed.
    #[must_use]
    pub fn flows(&self) -> &[(Flow, Origin)] {
        &self.flows
    }

    /// The rules that rewrite, listed in one of `inputs`.
    pub fn translations<'a>(&'a self, inputs: &'a [InputId]) -> impl Iterator<Item = &'a (Translation, Origin)> {
        self.rules.iter().filter(|(_, origin)| inputs.contains(&origin.input))
    }

    /// The rules that drop, listed in one of `inputs`.
    pub fn drops<'a>(&'a self, inputs: &'a [InputId]) -> impl Iterator<Item = &'a (DropRule, Origin)> {
        self.drops.iter().filter(|(_, origin)| inputs.contains(&origin.input))
    }

    /// Inputs that only a router has: tracked flows, and rules that rewrite.
    pub fn routers(&self) -> impl Iterator<Item = InputId> {
        self.flows.iter().map(|(_, o)| o.input).chain(self.rules.iter().map(|(_, o)| o.input))
    }
}
