//! `ntpscope explain ID`: the page of a cause or a rule.

use crate::causes::{self, Cause};
use crate::signs::SIGNS;
use std::fmt::Write;

/// What each rule measures, in a sentence.
const RULES: &[(&str, &str)] = &[
    (
        "exchange",
        "What became of each request: joined to its reply by origin and transmit timestamp, never by order, up to 120 s later. Answered, late (over 3 s), lost, kiss-o'-death, from another address, not synchronised, an ICMP error, or cut off by the end of the capture.",
    ),
    (
        "path",
        "Where each request was last seen. The order of the capture points follows from the TTL, from the round trip between two points (which needs no synchronised clocks), and from what one point saw and the next did not while it was recording.",
    ),
    (
        "contrast",
        "Which requests are lost: the usual sets of source ports and short poll fields, and of source port (above 1023 in steps of 4096), length, version, mode, poll field, TTL, DSCP, extension fields, MAC, NTS, transmit timestamp, time since the last request of the client and of its address, unanswered requests, client and network the best value, threshold, range or small set; pairs where none is enough. A set separates when at least 90 % within it are lost and at most 10 % outside it (what up to two other sets explain is set aside), and chance (Fisher's exact test, Bonferroni-corrected for all that was tried) is at most 1 %. A set of clients must explain half of the losses. Where no client asked both ways, the set can't be told from the client; where some did, an exact test within each of them tells.",
    ),
    (
        "nat",
        "How requests are rewritten: the same request before and after, the device between, its connection table and rules, and the chance that the next port is drawn below 123.",
    ),
    (
        "loss",
        "How many polls each source left unanswered, with the Wilson interval at 95 %, the longest silence, and the reach register where a billboard shows it.",
    ),
    (
        "polling",
        "When each client asked. A client that polls evenly (four of five gaps are no longer than its usual interval) and then sends nothing for five intervals or more, and for four times what its own poll field announces, has stopped asking.",
    ),
    (
        "pace",
        "How fast each server answers (slow is over 0.25 s, as seen at the point furthest on), and whether requests are lost within 16 s of slow answers more often than chance (Fisher's exact test) would have it.",
    ),
    (
        "daemon",
        "What a daemon says of itself: version, configuration, and how its counters grew between two looks, held against what captures show.",
    ),
    (
        "multicast",
        "Who broadcasts or multicasts to which group, from which addresses. Two addresses are one server where nine of ten packets of the rarer lie in gaps of the other (1.6 of its usual intervals, and 0.6 from both ends), or six of ten within 20 ms of one of the other; where both told the same reference time; or where the host itself says that both are its own.",
    ),
    (
        "sources",
        "Whom a host follows, held against its configuration: sources that no line names, servers of which there is no sample, lines of the access list that ignore an address that nobody has, that is heard all the same, or whose packets are then missing. Of all lines that hold an address the narrowest decides.",
    ),
    ("config", "What a configuration lacks: a client whose daemon keeps no statistics can't be judged afterwards."),
    (
        "twin",
        "The host most like one whose clock is wrong (half of its sources or more are the same; then by name, network and daemon) among those whose clock stays within a quarter of what the other does, 1 % of the samples left aside; and what differs: daemon, system, kernel's clock source, sources, configuration, a delay three times as long.",
    ),
    (
        "cycle",
        "Whether a clock comes to rest. Its offsets are noise below 2 ms and below ten times what the spread of the delays can make; the first hours, in which the frequency is not yet known, are left aside. Where three fifths of the spans of three hours since the first disturbed one are disturbed, the clock does not rest: then whether its offsets, or what its loop can't have done, keep a period of UTC (each minute from 300 s on), whether its swings follow each other evenly, and how its peaks grow from one step to the next: by an amount, or by a ratio.",
    ),
    (
        "residual",
        "What a clock did between two rows of loopstats, held against what the loop asked of it (the frequency of the row, and its offset amortised with the time constant of its poll exponent), as told, late, or not at all.",
    ),
    (
        "frequency",
        "The correction that a clock needs: at the limit of 500 ppm, and how it came there; jumps of it; whether it follows the hour of the day.",
    ),
    (
        "step",
        "When a clock was stepped, by how much, by what its log says, and whether the offset came back afterwards.",
    ),
    (
        "asymmetry",
        "The offset of each source against the others of its host at the same time, beside its delay. Where both shift at one instant, the offset by half of what the delay does, one direction has changed; where the delay alone does, both have.",
    ),
    (
        "agreement",
        "Which sources agree. Each is held against the others of its host at the same time, so that what the host's own clock does cancels: what stays apart by more than its distance to the root, drifts away steadily, or jumps for all who ask it, is wrong itself; where no majority agrees, nobody can tell.",
    ),
];

/// The page of `id`; `None` where nothing has that name.
#[must_use]
pub fn page(id: &str) -> Option<String> {
    if let Some((name, text)) = RULES.iter().find(|(name, _)| *name == id) {
        return Some(format!("{name} (rule)\n\n{}\n", textwrap::fill(text, 80)));
    }
    causes::all().iter().find(|cause| cause.id == id).map(cause_page)
}

/// Every id that has a page, with what it is in a few words.
pub fn index() -> impl Iterator<Item = (String, String)> {
    let causes = causes::all().into_iter().map(|cause| (cause.id, cause.title));
    causes.chain(RULES.iter().map(|(name, _)| ((*name).to_owned(), "rule".to_owned())))
}

fn cause_page(cause: &Cause) -> String {
    let mut page = format!("{} ({})\n\n", cause.id, format!("{:?}", cause.kind).to_lowercase());
    let paragraph = cause.page.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(page, "{}", textwrap::fill(&paragraph, 80));
    if !cause.versions.is_empty() {
        page.push_str("\nversions\n");
    }
    for range in &cause.versions {
        entry(&mut page, &format!("{} {} to {}. {}", range.product, range.from, range.to, range.note));
    }
    if !cause.signs.is_empty() {
        page.push_str("\nwhat speaks for it (+) and against it (-), in log odds\n");
        entry(&mut page, &format!("{:+.1} before any sign, against an unknown cause", cause.prior));
    }
    for sign in &cause.signs {
        let meaning = SIGNS.iter().find(|(name, _)| *name == sign.name).map_or("", |(_, meaning)| meaning);
        let fails = if sign.fails == 0.0 {
            String::new()
        } else {
            format!(" ({:+.1} where it can be seen that not)", sign.fails)
        };
        entry(&mut page, &format!("{:+.1} {meaning}{fails}", sign.holds));
    }
    for (head, lines) in
        [("what mends it", &cause.remedy), ("what confirms it", &cause.confirm), ("sources", &cause.sources)]
    {
        if !lines.is_empty() {
            let _ = writeln!(page, "\n{head}");
        }
        lines.iter().for_each(|line| entry(&mut page, line));
    }
    page
}

fn entry(page: &mut String, text: &str) {
    let options = textwrap::Options::new(80).initial_indent("  - ").subsequent_indent("    ").break_words(false);
    page.push_str(&textwrap::fill(text.trim(), options));
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_the_index_has_a_page_of_80_columns() {
        for (id, _) in index() {
            let page = page(&id).expect("a page");
            // Commands and addresses are not broken.
            let long = page.lines().find(|l| l.chars().count() > 80 && !l.contains("://") && !l.contains('\''));
            assert_eq!(long, None, "{id}");
        }
        assert_eq!(page("no-such-thing"), None);
    }
}
