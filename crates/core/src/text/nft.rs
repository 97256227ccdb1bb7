//! `nft list ruleset`: the rules of a packet filter and NAT that drop packets or rewrite their source.

use super::iptables::rule;
use super::{Block, Form, Line, Taken};
use crate::model::{Action, Event, FilterRule, Row, What};

/// What this module reads.
pub const FORMS: &[Form] = &[RULESET];

/// `nft list ruleset`, `nft list table …`, with or without `-a`, and the files that `nft -f` reads.
const RULESET: Form = Form { name: "nft list ruleset", opens, block: || Box::new(Ruleset::default()) };

const FAMILIES: [&str; 6] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];

fn opens(line: &str) -> bool {
    opens_table(line) || is_command(line)
}

/// `table ip nat {`
fn opens_table(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some("table")
        && words.next().is_some_and(|family| FAMILIES.contains(&family))
        && words.next().is_some_and(|name| name != "{")
        && words.next().is_some_and(|word| word.starts_with('{'))
}

/// `table nat {`, whose family is `ip`, as nobody says who does not mean it: other languages have such lines.
fn is_plain_table(line: &str) -> bool {
    matches!(line.split_whitespace().collect::<Vec<_>>()[..], ["table", _, "{"])
}

/// What files say outside of tables: `flush ruleset`, `define lan = eth1`, `table inet filter`, `delete table …`,
/// `add rule inet filter input udp dport 123 drop`.
fn is_command(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take(4).collect();
    match words[..] {
        ["flush", "ruleset", ..] | ["define", _, "=", ..] => true,
        ["table", family, _] => FAMILIES.contains(&family),
        ["add" | "insert" | "create" | "delete" | "destroy" | "flush", object, family, _] => {
            matches!(object, "table" | "chain" | "rule" | "set" | "map" | "element") && FAMILIES.contains(&family)
        }
        _ => false,
    }
}

#[derive(Default)]
struct Ruleset {
    /// Braces that are open: 1 in a table, 2 in a chain.
    depth: usize,
    in_chain: bool,
    /// Of the chain; empty where it hangs on none and is only jumped to.
    hook: String,
    /// Chains that were added by commands, with their hooks.
    added: Vec<(String, String)>,
    /// Whether a table was met: `define` is a word of other languages too.
    sure: bool,
}

/// More chains than these are added by no file that people write.
const MOST_CHAINS: usize = 256;

impl Block for Ruleset {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim_start();
        if self.depth == 0 && !opens_table(text) {
            if text.is_empty() || text.starts_with('#') {
                return Taken::Yes;
            }
            let known = is_command(text) || is_plain_table(text) || text.starts_with("include \"");
            if !known {
                return Taken::No;
            }
            self.command(line, text, rows);
        }
        self.sure |= self.depth == 0 && (opens_table(text) || is_plain_table(text));
        let before = self.depth;
        self.depth = braces(text, before);
        let mut words = words(text);
        match words.next() {
            Some("chain") if before == 1 => {
                self.in_chain = true;
                self.hook.clear();
                // All of it on one line: `chain input { type filter hook input priority 0; policy drop; }`.
                self.hook.push_str(hook(text));
                self.policy(line, text, rows);
            }
            Some("type") if before == 2 && self.in_chain => {
                self.hook.push_str(hook(text));
                self.policy(line, text, rows);
            }
            // Files written by hand have it on a line of its own.
            Some("policy") if before == 2 && self.in_chain => self.policy(line, text, rows),
            Some(_) if before == 2 && self.in_chain => {
                if let Some(action) = action(text) {
                    let rule = FilterRule { hook: &self.hook, text, action, packets: packets(text) };
                    rows(Row::Event(Event { at: line.at, what: What::Rule(rule) }));
                }
            }
            _ => {}
        }
        self.in_chain &= self.depth >= 2;
        Taken::Yes
    }

    fn sure(&self) -> bool {
        self.sure
    }
}

/// The hook that a chain hangs on, by its `type filter hook input priority 0;`.
fn hook(text: &str) -> &str {
    text.split_whitespace().skip_while(|word| *word != "hook").nth(1).unwrap_or_default()
}

impl Ruleset {
    /// A command that adds a chain or a rule to a table.
    fn command(&mut self, line: Line<'_>, text: &str, rows: &mut dyn FnMut(Row<'_>)) {
        let words: Vec<&str> = text.split_whitespace().take(6).collect();
        let ["add" | "insert" | "create", object, _, _, chain, ..] = words[..] else { return };
        self.sure = true;
        match object {
            "chain" if self.added.len() < MOST_CHAINS => {
                self.added.push((chain.to_owned(), hook(text).to_owned()));
                self.hook.clear();
                self.hook.push_str(hook(text));
                self.policy(line, text, rows);
            }
            "rule" => {
                let Some(action) = action(text) else { return };
                let hook = self.added.iter().rfind(|(name, _)| name == chain).map_or("", |(_, hook)| hook);
                let rule = FilterRule { hook, text, action, packets: packets(text) };
                rows(Row::Event(Event { at: line.at, what: What::Rule(rule) }));
            }
            _ => {}
        }
    }

    /// What no rule accepts is dropped too, where that is the chain's policy.
    fn policy(&self, line: Line<'_>, text: &str, rows: &mut dyn FnMut(Row<'_>)) {
        if text.contains("policy drop") {
            let rule = FilterRule { hook: &self.hook, text, action: Action::Drop, packets: None };
            rows(Row::Event(Event { at: line.at, what: What::Rule(rule) }));
        }
    }
}

/// The depth after a line that began at `depth`.
fn braces(text: &str, mut depth: usize) -> usize {
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth
}

/// Words, where a quoted comment or interface is one, and so is a set or map in braces: its `drop` is no statement.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut depth) = (false, 0_usize);
    let parts = text.split(move |c: char| {
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        c.is_whitespace() && !quoted && depth == 0
    });
    parts.filter(|word| !word.is_empty())
}

/// What a rule does, where NTP packets may meet it.
fn action(text: &str) -> Option<Action> {
    let statements = ["masquerade", "snat", "dnat", "redirect", "drop", "reject"];
    let statement = words(text).find(|word| statements.contains(word))?;
    let before: Vec<&str> = words(text).take_while(|word| *word != statement).collect();
    if !may_meet_ntp(&before) {
        return None;
    }
    if matches!(statement, "drop" | "reject") {
        return Some(Action::Drop);
    }
    if matches!(statement, "dnat" | "redirect") {
        return Some(Action::TranslateDestination);
    }
    let arguments = || words(text).skip_while(|word| *word != statement).skip(1);
    let ports = arguments().skip_while(|word| *word != "to").nth(1).and_then(rule::range);
    // Flags are printed with commas: `fully-random,persistent`.
    let random = arguments().flat_map(|word| word.split(',')).any(|flag| matches!(flag, "random" | "fully-random"));
    Some(Action::TranslateSource { ports, random })
}

/// Whether NTP packets may match: what `tcp dport 22` or `meta l4proto icmp` select, they may not.
fn may_meet_ntp(matches: &[&str]) -> bool {
    let mut ports = Vec::new();
    for (at, word) in matches.iter().enumerate() {
        let next = matches.get(at + 1).copied().unwrap_or_default();
        let is_port = matches!(next, "sport" | "dport");
        match *word {
            "tcp" | "sctp" | "dccp" if is_port || next == "flags" => return false,
            "udp" | "th" if is_port => ports.push(matches.get(at + 2..).unwrap_or_default()),
            "l4proto" | "protocol" | "nexthdr"
                if next != "!=" && !next.contains(['{', '@']) && !rule::may_be_udp(next) =>
            {
                return false;
            }
            "icmp" | "icmpv6" => return false,
            _ => {}
        }
    }
    // A set is one word: `{ 53, 123 }`; a named one may hold any.
    let holds = |given: &[&str]| match given {
        ["!=", ..] => true,
        [set, ..] if set.starts_with(['@', '$']) => true,
        [given, ..] => {
            let given = given.trim_matches(['{', '}', ' ']);
            given.split(',').any(|part| part.trim().starts_with('$') || rule::may_be_ntps(part.trim()))
        }
        [] => true,
    };
    ports.is_empty() || ports.into_iter().any(holds)
}

/// The count of `counter packets 47 bytes 3290`.
fn packets(text: &str) -> Option<u64> {
    let mut words = words(text).skip_while(|word| *word != "counter").skip(1);
    words.next().filter(|word| *word == "packets").and(words.next())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn rules_keep_their_hook_and_counters() {
        let text = "table inet f {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1,\n\t\t\t192.0.2.2 }\n\t}\n\
                    \tchain inp {\n\t\ttype filter hook input priority filter; policy drop;\n\
                    \t\tudp dport 123 udp sport != 123 counter packets 47 bytes 3290 drop\n\
                    \t\tip saddr vmap { 192.0.2.1 : drop }\n\t\tudp dport 123 accept comment \"no drop\"\n\t}\n\
                    \tchain other {\n\t\tudp dport 123 reject with icmp port-unreachable\n\t}\n}\ntable ip nat {\n\tchain post {\n\
                    \t\ttype nat hook postrouting priority srcnat; policy accept;\n\
                    \t\toifname \"out0\" meta l4proto udp masquerade to :123-511\n\t}\n}\nnot nft\n";
        let want = [
            "rule subject=input name=drop text=type filter hook input priority filter; policy drop;",
            "rule subject=input name=drop value=47 text=udp dport 123 udp sport != 123 counter packets 47 bytes 3290 drop",
            "rule name=drop text=udp dport 123 reject with icmp port-unreachable",
            "rule subject=postrouting name=translate_source text=oifname \"out0\" meta l4proto udp masquerade to :123-511",
        ];
        let (rows, rejects, forms) = read(text);
        assert_eq!(rows, want);
        assert_eq!(forms, ["nft list ruleset"]);
        assert_eq!(rejects, ["line 23: no reader knows this line"]);
    }

    #[test]
    fn translations_say_ports_and_randomness() {
        let of = |text| match action(text) {
            Some(Action::TranslateSource { ports, random }) => Some((ports, random)),
            _ => None,
        };
        assert_eq!(of("masquerade"), Some((None, false)));
        assert_eq!(of("masquerade fully-random,persistent"), Some((None, true)));
        assert_eq!(
            of("ip saddr 192.0.2.0/24 snat to 198.51.100.1:1024-65535 random"),
            Some((Some((1024, 65535)), true))
        );
        assert_eq!(of("snat ip6 to [2001:db8::1]:700"), Some((Some((700, 700)), false)));
        assert_eq!(of("snat ip6 to 2001:db8::1"), Some((None, false)));
        assert_eq!(action("udp dport 123 dnat to 192.0.2.1:123"), Some(Action::TranslateDestination));
        for other in
            ["tcp dport 22 drop", "udp dport { 53, 67 } reject", "meta l4proto icmp drop", "udp dport 53 redirect"]
        {
            assert_eq!(action(other), None, "{other}");
        }
        for drop in
            ["ct state invalid drop", "udp sport != 123 drop", "udp dport { 53, 123 } drop", "udp dport @ports drop"]
        {
            assert_eq!(action(drop), Some(Action::Drop), "{drop}");
        }
        assert_eq!(packets("counter name \"ntp\" drop"), None);
    }

    #[test]
    fn files_have_commands_and_variables_around_their_tables() {
        let text = "#!/usr/sbin/nft -f\nflush ruleset\ndefine lan = { eth1,\n  eth2 }\ninclude \"/etc/nftables.d/*.nft\"\n\
                    table inet f\ndelete table inet f\ntable inet f {\n\
                    \tchain a { type filter hook input priority 0; policy drop; }\n\
                    \tchain b {\n\t\tudp dport $ports drop\n\t}\n}\n\
                    add chain inet f out { type filter hook output priority 0; }\nadd rule inet f out udp sport 123 drop\n\
                    table nat {\n\tchain post {\n\t\ttype nat hook postrouting priority 100;\n\t\tmasquerade\n\t}\n}\n";
        let want = [
            "rule subject=input name=drop text=chain a { type filter hook input priority 0; policy drop; }",
            "rule name=drop text=udp dport $ports drop",
            "rule subject=output name=drop text=add rule inet f out udp sport 123 drop",
            "rule subject=postrouting name=translate_source text=masquerade",
        ];
        let (rows, rejects, forms) = read(text);
        assert_eq!(rows, want);
        assert_eq!(forms, ["nft list ruleset"]);
        assert_eq!(rejects, [""; 0]);
        assert_eq!(read("define x = 1\nend\n").2, [""; 0]);
    }
}
