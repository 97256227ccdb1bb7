//! What `w32tm` answers to `/resync` and `/config`, and where it fails.

use crate::model::{Event, Happening, Message, Row, What};
use crate::text::{Block, Form, Line, Taken};

/// An answer, or an error.
pub(super) const ANSWER: Form =
    Form { name: "w32tm answer", opens: |line| kind_of(line).is_some(), block: || Box::new(Answer) };

/// How answers begin, and what they tell.
const ANSWERS: [(&str, Option<Happening>); 4] = [
    ("Sending resync command to ", None),
    ("The command completed successfully.", None),
    ("The computer did not resync because ", Some(Happening::Unsynchronised)),
    ("The following error occurred: The service has not been started. (0x80070426)", Some(Happening::Stop)),
];

fn kind_of(line: &str) -> Option<Option<Happening>> {
    ANSWERS.iter().find(|(start, _)| line.starts_with(start)).map(|(_, kind)| *kind)
}

struct Answer;

impl Block for Answer {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
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
}
