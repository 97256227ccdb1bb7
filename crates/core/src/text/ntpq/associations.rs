//! The list of associations.

use super::super::{Block, Form, Line, Taken, is_rule};
use super::variable;
use crate::model::Row;

/// `ntpq -c associations`, `lassociations`, `passociations`.
pub const ASSOCIATIONS: Form = Form {
    name: "ntpq -c associations",
    opens: |line| is_header(line) || Association::of(line).is_some_and(|association| association.is_sure()),
    block: || Box::new(Associations),
};

fn is_header(line: &str) -> bool {
    const NAMES: [&str; 9] = ["ind", "assid", "status", "conf", "reach", "auth", "condition", "last_event", "cnt"];
    let mut words = line.split_whitespace();
    // ntpd 4.2.4 and before wrote `assID`.
    NAMES.iter().all(|name| words.next().is_some_and(|word| word.eq_ignore_ascii_case(name)))
}

struct Associations;

impl Block for Associations {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if is_rule(line.text) || is_header(line.text) {
            return Taken::Yes;
        }
        if !line.text.split_whitespace().next().is_some_and(|ind| ind.bytes().all(|b| b.is_ascii_digit())) {
            return Taken::No;
        }
        let Some(association) = Association::of(line.text) else {
            return Taken::Rejected("an association needs assid, status and condition".into());
        };
        for (name, value) in [
            ("status", association.status),
            ("condition", association.condition),
            ("last_event", association.last_event),
        ] {
            if !value.is_empty() {
                variable(rows, line.at, association.id, name, value);
            }
        }
        Taken::Yes
    }
}

/// One row: `1 17767  b61a   yes   yes  none  sys.peer    sys_peer  1`.
struct Association<'a> {
    id: &'a str,
    status: &'a str,
    /// conf, reach and auth.
    flags: [&'a str; 3],
    condition: &'a str,
    last_event: &'a str,
}

impl<'a> Association<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut words = super::super::field::Words::of(line);
        words.next().filter(|ind| ind.bytes().all(|b| b.is_ascii_digit()))?;
        let id = words.next().filter(|id| id.parse::<u16>().is_ok())?;
        let status = words.next().filter(|status| status.len() == 4 && u16::from_str_radix(status, 16).is_ok())?;
        let flags = [words.next()?, words.next()?, words.next()?];
        let condition = words.next()?;
        // Without an event there may still be a count; ntpd 4.2.4's events have a blank (`clock expt`).
        let event = words.rest();
        let last_event = match event.rsplit_once(' ') {
            Some((event, count)) if count.bytes().all(|b| b.is_ascii_digit()) => event.trim_end(),
            _ if event.bytes().all(|b| b.is_ascii_digit()) => "",
            _ => event,
        };
        // Old conditions may be blank: then the count stands there.
        let condition = if condition.bytes().all(|b| b.is_ascii_digit()) { "" } else { condition };
        Some(Association { id, status, flags, condition, last_event })
    }

    /// Whether nothing else looks like this.
    fn is_sure(&self) -> bool {
        let [conf, reach, auth] = self.flags;
        matches!(conf, "yes" | "no")
            && matches!(reach, "yes" | "no" | "none")
            && matches!(auth, "yes" | "no" | "none" | "ok" | "bad")
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{read, variables};

    #[test]
    fn associations_say_their_status_condition_and_last_event() {
        let text = "\nind assid status  conf reach auth condition  last_event cnt\n====\n  \
                    1 17767  b61a   yes   yes  none  sys.peer    sys_peer  1\n  2 x  8011   yes\n  \
                    3 41908  9685   yes   yes  none  sys.peer  clock expt  8\n  4 41909  8000   yes   yes  none    reject\n";
        let want = [
            "subject=17767 name=status text=b61a",
            "subject=17767 name=condition text=sys.peer",
            "subject=17767 name=last_event text=sys_peer",
            "subject=41908 name=status text=9685",
            "subject=41908 name=condition text=sys.peer",
            "subject=41908 name=last_event text=clock expt",
            "subject=41909 name=status text=8000",
            "subject=41909 name=condition text=reject",
        ];
        assert_eq!(variables(text), want);
        assert_eq!(read(text).1, ["line 5: an association needs assid, status and condition"]);
    }
}
