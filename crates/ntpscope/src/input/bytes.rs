//! The bytes of one file: what they are, by content and never by name, and the pieces or lines that they make.

use super::archive::fill;
use memchr::{memchr, memchr2};
use ntpscope_core::text::LONGEST_LINE;
use ntpscope_core::wire::CaptureReader;
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Cursor, Read};
use std::ops::Range;

/// Bytes that are looked at to tell what a file is.
pub const HEAD: usize = 4096;

/// Bytes read from a file at once.
const PIECE: usize = 1 << 18;

/// Zeros at the beginning that are passed over to tell whether a file is text: a crash leaves blocks of them.
const MOST_ZEROS: usize = 1 << 20;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// pcap whose packets all come from one interface.
    Capture,
    /// A capture that may hold several interfaces.
    Interfaces,
    /// Text.
    Text,
    /// No bytes at all.
    Empty,
    /// None of these.
    Nothing,
}

impl Kind {
    /// Whether there is anything to read.
    pub fn is_evidence(self) -> bool {
        self.is_capture() || self == Kind::Text
    }

    /// Whether it holds packets.
    pub fn is_capture(self) -> bool {
        matches!(self, Kind::Capture | Kind::Interfaces)
    }
}

/// What a stream is, by its first bytes, and these bytes in short.
pub fn kind(stream: &mut dyn Read) -> io::Result<(Kind, u64)> {
    let mut head = [0; HEAD];
    let mut have = fill(stream, &mut head)?;
    let mut zeros = 0;
    while have == HEAD && head == [0; HEAD] && zeros < MOST_ZEROS {
        zeros += HEAD;
        have = fill(stream, &mut head)?;
    }
    let head = &head[..have];
    let mut hash = DefaultHasher::new();
    hash.write(head);
    let kind = match head {
        [] if zeros == 0 => Kind::Empty,
        _ if zeros == 0 && CaptureReader::recognises(head) => {
            // pcapng, or pcap of `tcpdump -i any` (SLL2, link type 276, in either byte order).
            let sll2 = matches!(head.get(20..24), Some([0x14, 0x01, 0, 0] | [0, 0, 0x01, 0x14]));
            if head[0] == 0x0a || sll2 { Kind::Interfaces } else { Kind::Capture }
        }
        _ if is_text(head) => Kind::Text,
        _ => Kind::Nothing,
    };
    Ok((kind, hash.finish()))
}

/// Text may hold runs of NULs, which a crash leaves in logs, names in any encoding, or be UTF-16 as PowerShell writes
/// it; in what is no text one byte in eight is a control character.
fn is_text(head: &[u8]) -> bool {
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return true;
    }
    let written = head.iter().filter(|byte| **byte != 0);
    let (mut all, mut odd) = (0, 0);
    for byte in written {
        all += 1;
        odd += usize::from(byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b));
    }
    // With NULs among it, most must be plain: tables and images have long runs of them too.
    let plain = head.iter().filter(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()).count();
    all > 0 && odd * 8 <= all && (all == head.len() || plain * 10 >= all * 9)
}

/// A stream's bytes, with as much in view as a reader needs.
pub struct View<'a> {
    stream: &'a mut dyn Read,
    buffer: Vec<u8>,
    /// What is in view, of the buffer.
    view: Range<usize>,
    ended: bool,
}

thread_local! {
    /// The buffer of the last view on this thread: a fleet has thousands of files, and fresh memory is slow.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        if self.buffer.len() <= 4 * PIECE {
            BUFFER.set(std::mem::take(&mut self.buffer));
        }
    }
}

impl<'a> View<'a> {
    /// At the start of a stream.
    pub fn new(stream: &'a mut dyn Read) -> View<'a> {
        View { stream, buffer: BUFFER.take(), view: 0..0, ended: false }
    }

    /// What is in view, and whether nothing follows it.
    pub fn bytes(&self) -> (&[u8], bool) {
        (&self.buffer[self.view.clone()], self.ended)
    }

    /// Passes over `n` bytes.
    pub fn consume(&mut self, n: usize) {
        self.view.start += n;
    }

    /// Brings more into view, behind what is there.
    pub fn more(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.view.clone(), 0);
        self.view = 0..self.view.len();
        let have = self.view.end;
        if self.buffer.len() < have + PIECE {
            self.buffer.resize(have + PIECE, 0);
        }
        let got = fill(self.stream, &mut self.buffer[have..have + PIECE]);
        self.view.end += got.as_ref().copied().unwrap_or(0);
        // A short piece is the end, or damage that the next call meets again.
        self.ended = got? == 0;
        Ok(())
    }
}

/// Shows each line of a stream without its end, until `each` says to stop; of one that is too long only an end
/// is kept, which is still too long to be read. A stream in UTF-16 is read as such.
pub fn lines(stream: &mut dyn Read, each: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut bom = [0; 3];
    let have = fill(stream, &mut bom)?;
    let mut whole = Cursor::new(&bom[..have]).chain(stream);
    match &bom[..have] {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0xef, 0xbb, 0xbf] => {
            pieces(&mut encoding_rs_io::DecodeReaderBytes::new(whole), each)
        }
        _ => pieces(&mut whole, each),
    }
}

fn pieces(stream: &mut dyn Read, each: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut view = View::new(stream);
    view.more()?;
    // Where the first lines end with `\r` alone, all do; each is to have its number.
    let head = &view.bytes().0[..view.bytes().0.len().min(HEAD)];
    let returns = memchr(b'\n', head).is_none() && memchr(b'\r', head).is_some();
    let end_of = |bytes: &[u8]| if returns { memchr2(b'\n', b'\r', bytes) } else { memchr(b'\n', bytes) };
    let mut searched = 0;
    loop {
        let (bytes, ended) = view.bytes();
        let (mut from, mut go_on) = (0, true);
        while let Some(length) = end_of(&bytes[from.max(searched)..]) {
            let end = from.max(searched) + length;
            go_on = each(&bytes[from..end]);
            (from, searched) = (end + 1, 0);
            if !go_on {
                break;
            }
        }
        if ended && go_on && from < bytes.len() {
            each(&bytes[from..]);
        }
        if ended || !go_on {
            return Ok(());
        }
        searched = bytes.len() - from;
        view.consume(from);
        if searched > 2 * LONGEST_LINE {
            // Too long to be read in any case: what came first is passed over.
            view.consume(searched - LONGEST_LINE - 1);
            searched = LONGEST_LINE + 1;
        }
        view.more()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &[u8]) -> Vec<usize> {
        let mut all = Vec::new();
        let read = lines(&mut Cursor::new(text), &mut |line| {
            all.push(line.len());
            true
        });
        read.expect("no error in memory");
        all
    }

    #[test]
    fn lines_end_at_newlines_or_at_the_end() {
        assert_eq!(lengths(b"one\n\nthree"), [3, 0, 5]);
        assert_eq!(lengths(b""), [0; 0]);
        assert_eq!(lengths("\u{feff}one\ntwo".as_bytes()), [3, 3]);
        assert_eq!(lengths(b"\xff\xfeo\0n\0e\0\n\0"), [3]);
        assert_eq!(lengths(b"one\rthree\rtwo"), [3, 5, 3]);
        assert_eq!(lengths(b"one\r\nfive\rsix\n"), [4, 8]);
    }

    #[test]
    fn a_line_of_any_length_takes_bounded_memory() {
        let mut text = vec![b'x'; 3_000_000];
        text.extend(b"\nnext\n");
        let got = lengths(&text);
        assert!(got[0] > LONGEST_LINE && got[0] < 10 * LONGEST_LINE, "{got:?}");
        assert_eq!(got[1..], [4]);
    }

    #[test]
    fn lines_across_pieces_are_whole() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(|n| format!("{n:010}\n").into_bytes()).collect();
        let got = lengths(&text);
        assert!(got.len() == 100_000 && got.iter().all(|length| *length == 10));
    }

    #[test]
    fn text_may_have_nulls_and_other_encodings() {
        let mut crashed = vec![0; 300];
        crashed.extend(b"61366 33913.579 0.000000000 13.778 0.000351733 0.013380 6\n".repeat(3));
        assert!(is_text(&crashed) && is_text("M\u{fc}nchen \u{65e5}\u{672c}\n".as_bytes()) && is_text(b"\xff\xfea\0"));
        crashed.splice(0..0, [0; 100_000]);
        assert_eq!(kind(&mut &crashed[..]).expect("no error in memory").0, Kind::Text);
        assert_eq!(kind(&mut &[0; 100_000][..]).expect("no error in memory").0, Kind::Nothing);
        assert!(!is_text(&[0; 512]) && !is_text(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0"));
    }
}
