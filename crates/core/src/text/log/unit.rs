//! `systemctl status ntpd`: whether a daemon runs. The lines of the journal below it are read as those of any log.

use crate::model::{Event, Row, What};
use crate::text::{Block, Form, Line, Taken};

/// One unit after another, each up to the journal's lines.
pub const STATUS: Form =
    Form { name: "systemctl status", opens: |line| unit(line).is_some(), block: || Box::new(Status::default()) };

/// The unit that a block is about: `● chrony.service - chrony, an NTP client/server`.
fn unit(line: &str) -> Option<&str> {
    let rest = ["\u{25cf} ", "\u{25cb} ", "\u{d7} ", "* "].iter().find_map(|mark| line.strip_prefix(mark))?;
    let name = rest.split(' ').next().filter(|name| name.ends_with(".service"))?;
    (rest.len() == name.len() || rest[name.len()..].starts_with(" - ")).then_some(name)
}

#[derive(Default)]
struct Status {
    unit: String,
}

impl Block for Status {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some(unit) = unit(line.text) {
            unit.clone_into(&mut self.unit);
            return Taken::Yes;
        }
        // The fields stand under each other, ended by a colon; the journal's lines begin at the left.
        let indented = line.text.starts_with(' ') || line.text.is_empty();
        if !indented || super::SYSLOG.opens(line.text) {
            return Taken::No;
        }
        if let Some((name @ ("Active" | "Loaded"), value)) = line.text.trim_start().split_once(": ") {
            let what = What::Variable { association: &self.unit, name, value };
            rows(Row::Event(Event { at: line.at, what }));
        }
        Taken::Yes
    }
}
