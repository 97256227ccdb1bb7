//! systemd-timesyncd's `timesyncd.conf` (timesyncd.conf(5)), and what `systemd-analyze cat-config` prints of it.

use super::super::{Block, Form, Line, Taken, is_template};
use super::begins_another;
use super::template::Passage;
use crate::model::{Daemon, Event, Row, What};

/// A configuration of systemd-timesyncd.
pub const TIMESYNCD: Form =
    Form { name: "timesyncd.conf", opens: |line| line == "[Time]", block: || Box::new(Section::default()) };

/// The keys of its only section; `Servers` is the first releases' name for `NTP`.
const KEYS: [&str; 8] = [
    "NTP",
    "FallbackNTP",
    "Servers",
    "RootDistanceMaxSec",
    "PollIntervalMinSec",
    "PollIntervalMaxSec",
    "ConnectionRetrySec",
    "SaveIntervalSec",
];

fn key(line: &str) -> Option<(&'static str, &str)> {
    let (name, value) = line.split_once('=')?;
    KEYS.iter().find(|key| **key == name.trim_end()).map(|key| (*key, value.trim()))
}

#[derive(Default)]
struct Section {
    sure: bool,
    /// The key whose value goes on, where a line ended with a backslash.
    goes_on: Option<&'static str>,
    template: Passage,
}

impl Block for Section {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim_start();
        if self.template.goes_on(bare) {
            return Taken::Yes;
        }
        if bare.is_empty() || bare.starts_with(['#', ';']) || is_template(bare) || bare == "[Time]" {
            if begins_another(line.text) {
                return Taken::No;
            }
            // The file as shipped has its keys as comments.
            self.sure |= key(bare.trim_start_matches(['#', ';', ' '])).is_some();
            self.template.begin(bare);
            return Taken::Yes;
        }
        let (keyword, value) = match (self.goes_on, key(bare)) {
            (Some(keyword), None) => (keyword, bare),
            (_, Some(found)) => found,
            (None, None) if self.sure && bare.contains('=') && !bare.contains([' ', '[']) => {
                return Taken::Rejected("unknown key of timesyncd.conf".into());
            }
            (None, None) => return Taken::No,
        };
        self.sure = true;
        self.template.begin(bare);
        let rest = value.trim_end_matches('\\').trim_end();
        self.goes_on = value.ends_with('\\').then_some(keyword);
        let what = What::Directive { daemon: Daemon::Timesyncd, keyword, rest };
        rows(Row::Event(Event { at: line.at, what }));
        Taken::Yes
    }

    fn sure(&self) -> bool {
        self.sure
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn values_may_go_on_and_comments_tell_whose_file_it_is() {
        let (rows, rejects, forms) = read("[Time]\nNTP=192.0.2.1 \\\n  192.0.2.2\nNPT=192.0.2.3\n");
        let want = [
            "directive who=systemd-timesyncd name=NTP text=192.0.2.1",
            "directive who=systemd-timesyncd name=NTP text=192.0.2.2",
        ];
        assert_eq!(rows, want);
        assert_eq!(
            (rejects, forms),
            (vec!["line 4: unknown key of timesyncd.conf".to_owned()], vec!["timesyncd.conf"])
        );
        assert_eq!(read("[Time]\n#NTP=\n").2, ["timesyncd.conf"]);
        let (rows, rejects, _) = read("[Time]\n{% if a and\n b %}\nNTP={{ a | join(' ') }}\n{% endif %}\n");
        assert_eq!((rows.len(), rejects.len()), (1, 0));
        assert_eq!(read("[Time]\nZone=x\n").2, [""; 0]);
    }
}
