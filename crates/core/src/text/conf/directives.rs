//! The lines of `ntp.conf`, `chrony.conf` and OpenNTPD's `ntpd.conf`.

use super::super::{Block, Line, Taken, is_prompt, is_rule, is_template};
use super::begins_another;
use super::template::Passage;
use super::words::{Sign, directive, is_alone, known, language, prefers_chrony, sign};
use crate::model::{At, Daemon, Event, Origin, Row, What};

/// Lines held back until one says whose language it is. Files that nobody can tell apart are short.
const MOST_HELD: usize = 256;

/// Bytes of them.
const MOST_HELD_BYTES: usize = 64 * 1024;

/// So many strange lines on end are no mistakes in a configuration, but the end of it.
const MOST_UNKNOWN: u32 = 3;

#[derive(Default)]
pub struct Directives {
    /// Whose language the last line was that only one daemon understands.
    daemon: Option<Daemon>,
    /// The most that a line has said of it.
    sign: Sign,
    held: Vec<(Origin, String)>,
    bytes: usize,
    /// Strange lines on end.
    unknown: u32,
    template: Passage,
}

impl Block for Directives {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim_start();
        if self.template.goes_on(bare) {
            return Taken::Yes;
        }
        // All of chrony's comments: to ntpd the other marks are no directive either.
        if bare.is_empty() || bare.starts_with(['#', '!', ';', '%']) || is_template(bare) {
            if bare.starts_with('#') && begins_another(line.text) {
                return Taken::No;
            }
            self.template.begin(bare);
            return Taken::Yes;
        }
        let (word, rest) = directive(bare);
        let Some(keyword) = known(word, bare) else { return self.unknown(line, word) };
        let sign = sign(bare);
        // `server 192.0.2.1, stratum 2, offset …` is of ntpdate.
        if sign == Sign::Nothing && begins_another(line.text) {
            return Taken::No;
        }
        self.unknown = 0;
        if rest.is_empty() && !is_alone(keyword) {
            return Taken::Rejected(format!("`{keyword}` needs an argument"));
        }
        self.template.begin(bare);
        self.sign = self.sign.max(sign);
        self.daemon = language(bare).or(self.daemon);
        match self.daemon {
            Some(daemon) if self.sure() => {
                self.give(daemon, rows);
                give(line.at.origin, bare, daemon, rows);
            }
            _ => self.hold(line.at.origin, bare, rows),
        }
        Taken::Yes
    }

    fn sure(&self) -> bool {
        self.sign == Sign::Sure
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if self.sign >= Sign::May {
            self.give(self.guess(), rows);
        }
    }
}

impl Directives {
    fn unknown(&mut self, line: Line<'_>, word: &str) -> Taken {
        self.unknown += 1;
        if !self.sure() {
            self.held.clear();
            self.sign = Sign::Nothing;
            return Taken::No;
        }
        // A prompt is followed by what its command printed, and `==> FILE <==` by another file.
        let left = word.starts_with(['$', '=', '[']) || is_rule(word) || is_prompt(line.text.trim_start());
        if left || begins_another(line.text) || self.unknown > MOST_UNKNOWN {
            return Taken::No;
        }
        self.template.begin(line.text);
        Taken::Rejected(format!("unknown directive `{word}`"))
    }

    fn hold(&mut self, origin: Origin, bare: &str, rows: &mut dyn FnMut(Row<'_>)) {
        self.bytes += bare.len();
        self.held.push((origin, bare.to_owned()));
        if self.held.len() >= MOST_HELD || self.bytes >= MOST_HELD_BYTES {
            let daemon = self.guess();
            self.daemon = Some(daemon);
            self.end(rows);
            self.held.clear();
        }
    }

    /// Whose language it is where no line says so: ntpd's, but for options that are mostly chrony's.
    fn guess(&self) -> Daemon {
        let chrony = self.held.iter().any(|(_, bare)| prefers_chrony(bare));
        self.daemon.unwrap_or(if chrony { Daemon::Chrony } else { Daemon::Ntpd })
    }

    /// Gives the lines held. Nothing in them was strange, so that from now on they are a configuration.
    fn give(&mut self, daemon: Daemon, rows: &mut dyn FnMut(Row<'_>)) {
        self.sign = Sign::Sure;
        self.bytes = 0;
        for (origin, bare) in self.held.drain(..) {
            give(origin, &bare, daemon, rows);
        }
    }
}

/// A directive: in the language of its own line, else in that of the file.
fn give(origin: Origin, bare: &str, daemon: Daemon, rows: &mut dyn FnMut(Row<'_>)) {
    let (word, rest) = directive(bare);
    let Some(keyword) = known(word, bare) else { return };
    let daemon = language(bare).unwrap_or(daemon);
    rows(Row::Event(Event { at: At::origin(origin), what: What::Directive { daemon, keyword, rest } }));
}
