//! Rule `loss`, without captures: what a client's own records say of its polls of each source.
//!
//! In the order of how much they tell: counters of requests and replies (chronyd's `ntpdata`), replies with the number of
//! requests lost before each (NTPsec's `rawstats`), the reach register at each look, and the log.

use super::exchange::Count;
use super::{Material, Summary, keep_first};
use crate::model::{At, Counter, Event, Happening, InputId, Message, Origin, Packet, Peer, Row, What};
use crate::stats::Share;
use crate::time::Time;
use std::collections::BTreeMap;

/// Sources kept; hosts have a handful each.
const MOST_ACCOUNTS: usize = 1 << 14;

/// A source that has not been heard of for so long after it was first asked is silent: the third poll of 64 s is then
/// over, or more.
const SILENT_S: f64 = 180.0;

/// What inputs say of sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accounts {
    sources: BTreeMap<(InputId, String), Account>,
    /// The last time that is told in each input with a log.
    ends: BTreeMap<InputId, Time>,
}

/// What one input says of one source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// The reach register as last shown, with the seconds between polls.
    reach: Option<(u8, Option<f64>, Origin)>,
    sent: Option<(u64, Origin)>,
    valid: Option<(u64, Origin)>,
    /// Replies that are logged with a count of the requests lost before them, and the sum of these.
    logged: (Count, u64),
    /// When it was first asked, as a log says, and when it was first reachable.
    asked: Option<(Time, Origin)>,
    reached: Option<Time>,
    /// Kisses-o'-death, by code.
    kisses: BTreeMap<[u8; 4], Count>,
    /// Where it says that it is not synchronised.
    unsynchronised: Option<Origin>,
}

impl Summary for Accounts {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Row(row) = material else { return };
        match *row {
            Row::Peer(Peer { at: at @ At { origin, .. }, source, reach, poll_s, stratum, refid, accepted, .. }) => {
                if let Some(reach) = reach {
                    self.of(origin, source).reach = Some((reach, poll_s, origin));
                }
                // `chronyc ntpdata` of a kiss or of a server that is not synchronised: stratum 0.
                if accepted == Some(false) && stratum == Some(0) && !refid.is_empty() && reach.is_none() {
                    let account = self.of(origin, source);
                    match (kiss(refid), at.time) {
                        (Some(code), Some(time)) => account.kisses.entry(code).or_default().one(time, origin),
                        (Some(code), None) => account.kisses.entry(code).or_default().n += 1,
                        (None, _) => account.unsynchronised = Some(origin),
                    }
                }
            }
            Row::Packet(Packet { at, source: (Some(from), _), lost: Some(lost), mode: Some(4), .. }) => {
                let Some(time) = at.time else { return };
                let (count, sum) = &mut self.of(at.origin, &from.to_string()).logged;
                count.one(time, at.origin);
                *sum += u64::from(lost);
            }
            Row::Event(Event { at, what: What::Counter { association, name, value, over_s: None } })
                if !association.is_empty() =>
            {
                let seen = Some((value, at.origin));
                match name {
                    Counter::SourceSent => self.of(at.origin, association).sent = seen,
                    Counter::SourceValid => self.of(at.origin, association).valid = seen,
                    _ => {}
                }
            }
            Row::Event(Event { at, what: What::Message(Message { kind, source, text, .. }) }) => {
                let Some(time) = at.time else { return };
                let end = self.ends.entry(at.origin.input).or_insert(time);
                *end = time.max(*end);
                if source.is_empty() {
                    return;
                }
                match kind {
                    Happening::Mobilised => {
                        self.of(at.origin, source).asked.get_or_insert((time, at.origin));
                    }
                    Happening::Reachable | Happening::Synchronised => {
                        self.of(at.origin, source).reached.get_or_insert(time);
                    }
                    Happening::Kiss => {
                        if let Some(code) = kiss(text) {
                            self.of(at.origin, source).kisses.entry(code).or_default().one(time, at.origin);
                        }
                    }
                    _ => {}
                }
            }
            _ => return,
        }
        keep_first(&mut self.sources, MOST_ACCOUNTS);
    }

    fn merge(&mut self, later: Self) {
        for (key, other) in later.sources {
            self.sources.entry(key).or_default().add(other);
        }
        for (input, time) in later.ends {
            let end = self.ends.entry(input).or_insert(time);
            *end = time.max(*end);
        }
        keep_first(&mut self.sources, MOST_ACCOUNTS);
    }
}

/// The code of a kiss, as the daemons print it: a word, or the reference id in hexadecimal.
fn kiss(text: &str) -> Option<[u8; 4]> {
    let hex = u32::from_str_radix(text, 16).map(u32::to_be_bytes).unwrap_or_default();
    let text = std::str::from_utf8(&hex).ok().filter(|_| text.len() == 8).unwrap_or(text);
    let codes = [("RATE", *b"RATE"), ("rate_exceeded", *b"RATE"), ("DENY", *b"DENY"), ("RSTR", *b"RSTR")];
    let denied = ("access_denied", *b"DENY");
    codes.into_iter().chain([denied]).find(|(word, _)| text.contains(word)).map(|(_, code)| code)
}

impl Account {
    fn add(&mut self, later: Account) {
        self.reach = later.reach.or(self.reach);
        self.sent = later.sent.or(self.sent);
        self.valid = later.valid.or(self.valid);
        self.logged.0.add(later.logged.0);
        self.logged.1 += later.logged.1;
        self.asked = self.asked.or(later.asked);
        self.reached = self.reached.or(later.reached);
        self.unsynchronised = later.unsynchronised.or(self.unsynchronised);
        for (code, count) in later.kisses {
            self.kisses.entry(code).or_default().add(count);
        }
    }
}

/// What a host's records, taken together, say of its polls of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Polled {
    /// Polls without a usable answer, of all that are told of.
    pub lost: Share,
    /// What tells it, in words: `its counters`, `the reach register` …
    pub by: &'static str,
    /// The command or file by which someone else gets the same numbers.
    pub recipe: &'static str,
    /// Seconds between polls, where known.
    pub poll_s: Option<f64>,
    /// Where it is told.
    pub origins: Vec<Origin>,
    /// The kisses among the answers.
    pub kisses: BTreeMap<[u8; 4], Count>,
    /// Where the source was seen to say that it is not synchronised.
    pub unsynchronised: Option<Origin>,
}

impl Accounts {
    fn of(&mut self, origin: Origin, source: &str) -> &mut Account {
        self.sources.entry((origin.input, source.to_owned())).or_default()
    }

    /// All sources that the inputs of one host tell of.
    #[must_use]
    pub fn sources(&self, inputs: &[InputId]) -> Vec<&str> {
        let own = self.sources.keys().filter(|(input, _)| inputs.contains(input));
        let mut sources: Vec<&str> = own.map(|(_, source)| source.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// The inputs that tell of any source.
    pub fn inputs(&self) -> impl Iterator<Item = InputId> {
        let mut last = None;
        self.sources.keys().map(|(input, _)| *input).filter(move |input| last.replace(*input) != Some(*input))
    }

    /// What the inputs of one host say of a source; `None` where they do not tell of polls.
    #[must_use]
    pub fn polled(&self, inputs: &[InputId], source: &str) -> Option<Polled> {
        let own = |input: &InputId| Some((*input, self.sources.get(&(*input, source.to_owned()))?));
        let accounts: Vec<(InputId, &Account)> = inputs.iter().filter_map(own).collect();
        // Two records of one daemon tell of the same kisses.
        let mut kisses: BTreeMap<[u8; 4], Count> = BTreeMap::new();
        for (code, count) in accounts.iter().flat_map(|(_, account)| &account.kisses) {
            let most = kisses.entry(*code).or_default();
            *most = if (count.n, count.first) > (most.n, most.first) { *count } else { *most };
        }
        let poll_s = accounts.iter().filter_map(|(_, account)| account.reach?.1).reduce(f64::max);
        let unsynchronised = accounts.iter().find_map(|(_, account)| account.unsynchronised);
        let told = |(lost, of): (u64, u64), by, recipe, origins| Polled {
            lost: Share::of(lost, of),
            by,
            recipe,
            poll_s,
            origins,
            kisses: kisses.clone(),
            unsynchronised,
        };
        if let Some((counts, origins)) = counted(&accounts) {
            return Some(told(counts, "its counters of requests and replies", "chronyc -n ntpdata", origins));
        }
        if let Some(((lost, of), mut origins)) = logged(&accounts) {
            // What no reply came after, only the register shows.
            let after = registered(&accounts).filter(|((lost, of), _)| lost == of);
            let ((more, polls), register) = after.unwrap_or_default();
            let counts = (lost + more, of + polls);
            origins.extend(register);
            let recipe = "awk '{ lost += $(NF-2); rows++ } END { print lost, rows }' rawstats";
            return Some(told(counts, "the lost requests that its rawstats count", recipe, origins));
        }
        if let Some((counts, origins)) = registered(&accounts) {
            return Some(told(counts, "its reach register", "ntpq -pn", origins));
        }
        if let Some((counts, origins)) = self.silent(&accounts) {
            let by = "its log, which never calls the source reachable";
            return Some(told(counts, by, "grep -E 'mobilize|reachable' protostats", origins));
        }
        let n = kisses.values().map(|count| count.n).sum();
        (n > 0).then(|| told((n, n), "its log", "grep -E 'KoD|rate_exceeded|access_denied' LOG", Vec::new()))
    }

    /// One request for each time that it was asked and not heard of while the log went on.
    fn silent(&self, accounts: &[(InputId, &Account)]) -> Option<((u64, u64), Vec<Origin>)> {
        let reached = accounts.iter().any(|(_, account)| account.reached.is_some());
        let asked = |(input, account): &(InputId, &Account)| {
            let (since, origin) = account.asked?;
            (self.ends.get(input)?.since_s(since) >= SILENT_S).then_some(origin)
        };
        let origins: Vec<Origin> = accounts.iter().filter_map(asked).collect();
        // Three polls at the least in that time; how many there were the log does not say.
        (!reached && !origins.is_empty()).then_some(((3, 3), origins))
    }
}

/// Requests without a valid reply, of all: from the look that has counted most. The last may be under way still.
fn counted(accounts: &[(InputId, &Account)]) -> Option<((u64, u64), Vec<Origin>)> {
    let looks = accounts.iter().filter_map(|(_, account)| Some((account.sent?, account.valid?)));
    let ((sent, a), (valid, b)) = looks.max_by_key(|((sent, _), _)| *sent)?;
    let over = sent.saturating_sub(u64::from(sent > valid));
    (over > 0).then(|| ((over.saturating_sub(valid), over), vec![a, b]))
}

fn logged(accounts: &[(InputId, &Account)]) -> Option<((u64, u64), Vec<Origin>)> {
    let (mut all, mut lost) = (Count::default(), 0);
    for (_, account) in accounts {
        all.add(account.logged.0);
        lost += account.logged.1;
    }
    let origins = [all.first, all.last].into_iter().flatten().map(|(_, origin)| origin).collect();
    (all.n > 0).then_some(((lost, lost + all.n), origins))
}

/// From reach registers: the looks are not known to lie eight polls apart, so only the worst of them counts. Zeros before
/// the first answer may be polls that never were, and the latest poll may be under way.
fn registered(accounts: &[(InputId, &Account)]) -> Option<((u64, u64), Vec<Origin>)> {
    let looks: Vec<(u8, Origin)> = accounts.iter().filter_map(|(_, a)| a.reach.map(|(r, _, o)| (r, o))).collect();
    let origins: Vec<Origin> = looks.iter().map(|(_, origin)| *origin).collect();
    let nothing = looks.iter().filter(|(reach, _)| *reach == 0).count();
    let answered = looks.iter().any(|(reach, _)| *reach > 0);
    // One look at a register of zeros may come before the first poll; a second, or an answer before, makes eight.
    if nothing > 1 || nothing > 0 && answered {
        return Some(((8, 8), origins));
    }
    let polls = |reach: u8| {
        let under_way = u32::from(reach & 1 == 0);
        let polls = 8 - reach.leading_zeros() - under_way;
        (u64::from(polls - reach.count_ones()), u64::from(polls))
    };
    let worst = looks.iter().filter(|(reach, _)| *reach > 0).map(|(reach, _)| polls(*reach));
    worst.max_by_key(|(lost, of)| (*lost, *of)).map(|counts| (counts, origins))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Place;

    fn account(reach: u8) -> Account {
        let origin = Origin { input: InputId(0), place: Place::Line(1) };
        Account { reach: Some((reach, Some(8.0), origin)), ..Account::default() }
    }

    fn register(looks: &[u8]) -> Option<(u64, u64)> {
        let accounts: Vec<Account> = looks.iter().map(|reach| account(*reach)).collect();
        let accounts: Vec<_> = accounts.iter().enumerate().map(|(i, a)| (InputId(i as u32), a)).collect();
        registered(&accounts).map(|(counts, _)| counts)
    }

    #[test]
    fn a_reach_register_is_read_with_care() {
        assert_eq!(register(&[0o377]), Some((0, 8)));
        assert_eq!(register(&[0o17]), Some((0, 4)), "a start");
        assert_eq!(register(&[0o376]), Some((0, 7)), "the last poll is under way");
        assert_eq!(register(&[0o265]), Some((3, 8)));
        assert_eq!(register(&[0]), None, "it may not have asked yet");
        assert_eq!(register(&[0, 0]), Some((8, 8)));
        assert_eq!(register(&[0o17, 0]), Some((8, 8)));
    }
}
