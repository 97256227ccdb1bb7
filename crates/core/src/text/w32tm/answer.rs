//! What `w32tm` answers to `/resync`, `/config` and `/query /source`, and where it fails.

use super::variable;
use crate::model::{Event, Happening, Message, Row, What};
use crate::text::{Block, Form, Line, Taken};

/// An answer, or an error.
pub(super) const ANSWER: Form = Form {
    name: "w32tm answer",
    opens: |line| kind_of(line).is_some() || source(line).is_some(),
    block: || Box::new(Answer),
};

/// How answers begin, and what they tell.
const ANSWERS: [(&str, Option<Happening>); 5] = [
    ("Sending resync command to ", None),
    ("The command completed successfully.", None),
    ("The computer did not resync because ", Some(Happening::Unsynchronised)),
    ("The following error occurred: The service has not been started. (0x80070426)", Some(Happening::Stop)),
    ("The following error occurred: ", Some(Happening::Other)),
];

/// `w32tm /query /source`: a server with its flags, `ntp.example,0x9`, or what is no server.
fn source(line: &str) -> Option<&str> {
    let own = ["Local CMOS Clock", "Free-running System Clock", "VM IC Time Synchronization Provider"];
    let flagged = line.rsplit_once(",0x").is_some_and(|(name, flags)| {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._:%[]".contains(&b);
        let is_flags = (1..=2).contains(&flags.len()) && flags.bytes().all(|b| b.is_ascii_hexdigit());
        is_flags && name.contains(['.', ':']) && name.bytes().all(is_name)
    });
    (flagged || own.contains(&line)).then_some(line)
}

fn kind_of(line: &str) -> Option<Option<Happening>> {
    ANSWERS.iter().find(|(start, _)| line.starts_with(start)).map(|(_, kind)| *kind)
}

struct Answer;

impl Block for Answer {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some(source) = source(line.text) {
            variable(rows, line.at, "", "Source", source);
            return Taken::Yes;
        }
        let Some(kind) = kind_of(line.text) else { return Taken::No };
        if let Some(kind) = kind {
            let message = Message { program: "w32time", kind, source: "", value: None, text: line.text };
            rows(Row::Event(Event { at: line.at, what: What::Message(message) }));
        }
        Taken::Yes
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::read;

    #[test]
    fn a_clock_that_was_not_set_is_told() {
        let text = "Sending resync command to local computer\nThe computer did not resync because no time data was available.\n";
        let want = "message who=w32time name=unsynchronised text=The computer did not resync because no time data was available.";
        assert_eq!(read(text), (vec![want.to_owned()], vec![], vec!["w32tm answer"]));
    }

    #[test]
    fn a_source_is_told_alone() {
        let text = "PS C:\\> w32tm /query /source\nntp.example,0x9\nLocal CMOS Clock\n\
                    The following error occurred: Access is denied. (0x80070005)\n";
        let want = [
            "variable name=Source text=ntp.example,0x9",
            "variable name=Source text=Local CMOS Clock",
            "message who=w32time name=other text=The following error occurred: Access is denied. (0x80070005)",
        ];
        assert_eq!(read(text).0, want);
        assert_eq!(read("a,0x9\nb.c,0x123\nd e.f,0x1\n").0.len(), 0);
    }
}
