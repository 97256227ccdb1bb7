//! The bytes of a file, decompressed: found by content, never by name.

use super::File;
use ntpscope_core::text::LONGEST_LINE;
use ntpscope_core::wire::CaptureReader;
use std::io::{self, BufReader, Cursor, Read, Seek};

/// Bytes that are looked at to tell what a file is.
const HEAD: usize = 4096;

/// Bytes read from a file at once.
const PIECE: usize = 1 << 18;

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

/// A stream of a file's bytes.
pub type Stream = Box<dyn Read + Send>;

/// Opens a file, and decompresses it where it is compressed.
pub fn open(file: &File) -> io::Result<Stream> {
    let mut raw: Stream = match &file.spooled {
        Some(spooled) => {
            let mut again = spooled.try_clone()?;
            again.rewind()?;
            Box::new(again)
        }
        None => Box::new(std::fs::File::open(&file.path)?),
    };
    let mut magic = [0; 6];
    let have = fill(&mut raw, &mut magic)?;
    let whole = Cursor::new(magic).take(have as u64).chain(raw);
    Ok(match &magic[..have] {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(PIECE, whole))),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(BufReader::with_capacity(PIECE, whole)))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(Zstd { source: BufReader::with_capacity(PIECE, whole), frame: None }),
        _ => Box::new(whole),
    })
}

/// What a file is, by its first bytes.
pub fn kind(file: &File) -> io::Result<Kind> {
    let mut head = vec![0; HEAD];
    let have = match open(file).and_then(|mut stream| fill(&mut stream, &mut head)) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
        other => other?,
    };
    let head = &head[..have];
    Ok(match head {
        [] => Kind::Empty,
        _ if CaptureReader::recognises(head) => {
            // pcapng, or pcap of `tcpdump -i any` (SLL2, link type 276, in either byte order).
            let sll2 = matches!(head.get(20..24), Some([0x14, 0x01, 0, 0] | [0, 0, 0x01, 0x14]));
            if head[0] == 0x0a || sll2 { Kind::Interfaces } else { Kind::Capture }
        }
        _ if head.contains(&0) => Kind::Nothing,
        _ => Kind::Text,
    })
}

/// Reads until `buffer` is full or the stream ends.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match stream.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What came before the damage is still evidence.
            Err(_) if have > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

/// Zstandard: one frame after the other, as `cat a.zst b.zst` makes them.
struct Zstd<R: Read> {
    source: BufReader<R>,
    frame: Option<ruzstd::decoding::FrameDecoder>,
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
        use std::io::BufRead;
        let broken = |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        loop {
            let Some(frame) = &mut self.frame else {
                if self.source.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                let mut frame = FrameDecoder::new();
                frame.init(&mut self.source).map_err(|e| broken(&e))?;
                self.frame = Some(frame);
                continue;
            };
            if !frame.is_finished() && frame.can_collect() < buffer.len() {
                let wanted = BlockDecodingStrategy::UptoBytes(buffer.len());
                frame.decode_blocks(&mut self.source, wanted).map_err(|e| broken(&e))?;
            }
            match frame.read(buffer)? {
                0 if frame.is_finished() => self.frame = None,
                n => return Ok(n),
            }
        }
    }
}

/// A stream's bytes, with as much in view as a reader needs.
pub struct View {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

impl View {
    /// At the start of a stream.
    pub fn new(stream: Stream) -> View {
        View { stream, buffer: Vec::new(), start: 0, ended: false }
    }

    /// What is in view, and whether nothing follows it.
    pub fn bytes(&self) -> (&[u8], bool) {
        (&self.buffer[self.start..], self.ended)
    }

    /// Passes over `n` bytes.
    pub fn consume(&mut self, n: usize) {
        self.start += n;
    }

    /// Brings more into view, behind what is there.
    pub fn more(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let have = self.buffer.len();
        self.buffer.resize(have + PIECE, 0);
        let got = fill(&mut self.stream, &mut self.buffer[have..]);
        self.buffer.truncate(have + got.as_ref().copied().unwrap_or(0));
        // A short piece is the end, or damage that the next call meets again.
        self.ended = got? == 0;
        Ok(())
    }
}

/// The lines of a stream; of one that is too long only the beginning is kept.
pub struct Lines {
    view: View,
    /// Length of the line last given, with its end.
    given: usize,
}

impl Lines {
    /// At the first line of a stream.
    pub fn new(stream: Stream) -> Lines {
        Lines { view: View::new(stream), given: 0 }
    }

    /// The next line without its end; `None` after the last.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.view.consume(std::mem::take(&mut self.given));
        let mut searched = 0;
        let length = loop {
            let (bytes, ended) = self.view.bytes();
            if let Some(at) = bytes[searched..].iter().position(|b| *b == b'\n') {
                self.given = searched + at + 1;
                break searched + at;
            }
            if ended {
                if bytes.is_empty() {
                    return Ok(None);
                }
                self.given = bytes.len();
                break bytes.len();
            }
            searched = bytes.len();
            if searched > 2 * LONGEST_LINE {
                // Too long to be read in any case: its middle is passed over.
                self.view.consume(searched - LONGEST_LINE - 1);
                searched = LONGEST_LINE + 1;
            }
            self.view.more()?;
        };
        Ok(Some(&self.view.bytes().0[..length]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &[u8]) -> Vec<usize> {
        let mut lines = Lines::new(Box::new(Cursor::new(text.to_vec())));
        let mut all = Vec::new();
        while let Some(line) = lines.next().expect("no error in memory") {
            all.push(line.len());
        }
        all
    }

    #[test]
    fn lines_end_at_newlines_or_at_the_end() {
        assert_eq!(lengths(b"one\n\nthree"), [3, 0, 5]);
        assert_eq!(lengths(b""), [0; 0]);
    }

    #[test]
    fn a_line_of_any_length_takes_bounded_memory() {
        let mut text = vec![b'x'; 3_000_000];
        text.extend(b"\nnext\n");
        let got = lengths(&text);
        assert!(got[0] > LONGEST_LINE && got[0] < 10 * LONGEST_LINE, "{got:?}");
        assert_eq!(got[1..], [4]);
    }
}
