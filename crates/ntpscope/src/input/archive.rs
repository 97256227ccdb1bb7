//! What a file holds: itself, or the members of an archive, however they are wrapped; streamed, never unpacked to disk.

use super::streams::{Broken, Headers, Metered, Whole, Zstd, broken, xz};
use ntpscope_core::time::{SECOND, Time};
use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::ops::ControlFlow;
use std::rc::Rc;

/// Bytes read at once from what is compressed.
const PIECE: usize = 1 << 18;

/// Bytes that tell how a file is wrapped: the header of a tar archive is one block of 512.
const BLOCK: usize = 512;

/// Wrappings within wrappings that are undone: a rotated log in a bundle of a host in a bundle of a site has five.
const DEEPEST: u32 = 8;

/// What an archive may unpack to: so many bytes, and so many more for each of its own. Logs shrink by 5 to 50, and a
/// decompression bomb by 1000 in each of its layers.
const ROOM: u64 = if cfg!(test) { 1 << 20 } else { 1 << 30 };
const ROOM_PER_BYTE: u64 = 200;

/// Bytes of a tar archive between two members, which are kept in memory: long names, attributes, maps of holes.
const MOST_HEADERS: u64 = 1 << 20;

/// A zip archive inside another archive is kept in memory up to this size, since its directory stands at its end.
const MOST_NESTED_ZIP: u64 = 64 << 20;

/// One file: alone, or in an archive.
pub struct Member<'a> {
    /// Its number within the file that was opened, as the walk meets it.
    pub number: usize,
    /// Its path in the archive; empty where the file is no archive.
    pub path: &'a str,
    /// When it was last written, where the archive says so.
    pub written: Option<Time>,
    /// Its bytes, where that is said before it is decompressed.
    pub size: Option<u64>,
}

/// What is done with each member and its bytes, decompressed.
pub type Each<'a> = dyn FnMut(Member<'_>, &mut dyn Read) -> ControlFlow<()> + 'a;

/// Shows each member of an archive, or the file itself, in an order that is the same every time.
///
/// A member that can't be read is shown with a stream that says why; the error of the archive itself ends the walk.
pub fn visit(mut file: impl Read + Seek, size: u64, each: &mut Each<'_>) -> io::Result<()> {
    let left = Rc::new(Cell::new(size.saturating_mul(ROOM_PER_BYTE).saturating_add(ROOM)));
    let mut walk = Walk { number: 0, left, each };
    let mut magic = [0; 4];
    let have = fill(&mut file, &mut magic)?;
    let _ = if is_zip(&magic[..have]) {
        file.rewind()?;
        walk.zip("", 0, file)?
    } else {
        walk.unwrap(
            About { path: "", written: None, size: Some(size) },
            0,
            &mut Cursor::new(&magic[..have]).chain(file),
        )?
    };
    Ok(())
}

/// Reads until `buffer` is full or the stream ends.
pub fn fill(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
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

/// What is known of a file before it is opened.
#[derive(Clone, Copy)]
struct About<'a> {
    path: &'a str,
    written: Option<Time>,
    size: Option<u64>,
}

struct Walk<'a, 'b> {
    number: usize,
    /// Bytes that may still come out of decompressors.
    left: Rc<Cell<u64>>,
    each: &'a mut Each<'b>,
}

impl Walk<'_, '_> {
    fn show(&mut self, About { path, written, size }: About<'_>, stream: &mut dyn Read) -> ControlFlow<()> {
        let member = Member { number: self.number, path, written, size };
        self.number += 1;
        (self.each)(member, stream)
    }

    fn unwrap(&mut self, about: About<'_>, depth: u32, stream: &mut dyn Read) -> io::Result<ControlFlow<()>> {
        let packed_about = About { size: None, ..about };
        let mut head = [0; BLOCK];
        let have = fill(stream, &mut head)?;
        let mut whole = Cursor::new(&head[..have]).chain(stream);
        let wrapped = if depth < DEEPEST { &head[..have] } else { &[] };
        let left = &self.left.clone();
        let packed = |whole| BufReader::with_capacity(PIECE, whole);
        match wrapped {
            [0x1f, 0x8b, ..] => {
                let mut inner = Metered::new(flate2::bufread::MultiGzDecoder::new(packed(whole)), left);
                self.unwrap(packed_about, depth + 1, &mut inner)
            }
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => {
                let mut inner = Metered::new(bzip2::bufread::MultiBzDecoder::new(packed(whole)), left);
                self.unwrap(packed_about, depth + 1, &mut inner)
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
                let mut inner = Metered::new(xz(packed(whole))?, left);
                self.unwrap(packed_about, depth + 1, &mut inner)
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let mut inner = Metered::new(Zstd::new(packed(whole)), left);
                self.unwrap(packed_about, depth + 1, &mut inner)
            }
            head if is_zip(head) => {
                let mut kept = Vec::new();
                if whole.take(MOST_NESTED_ZIP + 1).read_to_end(&mut kept)? as u64 > MOST_NESTED_ZIP {
                    let limit = MOST_NESTED_ZIP >> 20;
                    return Err(broken(&format!("a zip archive of over {limit} MiB inside another: unpack it first")));
                }
                self.zip(about.path, depth + 1, Cursor::new(kept))
            }
            head if is_tar(head) => self.tar(about.path, depth + 1, &mut whole),
            _ => Ok(self.show(about, &mut whole)),
        }
    }

    /// What is inside a member, whose trouble is its own.
    fn inside(&mut self, about: About<'_>, depth: u32, stream: &mut dyn Read) -> ControlFlow<()> {
        match self.unwrap(about, depth, stream) {
            Ok(flow) => flow,
            Err(error) => self.show(about, &mut Broken(Some(error))),
        }
    }

    fn tar(&mut self, path: &str, depth: u32, stream: &mut dyn Read) -> io::Result<ControlFlow<()>> {
        let left = Rc::new(Cell::new(MOST_HEADERS));
        let mut archive = tar::Archive::new(Headers::new(stream, &left));
        for entry in archive.entries()? {
            let mut entry = entry?;
            left.set(u64::MAX);
            let kind = entry.header().entry_type();
            // A hard link is the same file again, and a symbolic link leads to another member or nowhere.
            if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
                pass_over(&mut entry)?;
                left.set(MOST_HEADERS);
                continue;
            }
            let name = below(path, &String::from_utf8_lossy(&entry.path_bytes()));
            let written = entry.header().mtime().ok().and_then(seconds);
            let about = About { path: &name, written, size: Some(entry.size()) };
            let mut whole = Whole::new(entry.size(), &mut entry);
            if self.inside(about, depth, &mut whole).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            pass_over(&mut entry)?;
            left.set(MOST_HEADERS);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn zip(&mut self, path: &str, depth: u32, file: impl Read + Seek) -> io::Result<ControlFlow<()>> {
        let mut archive = zip::ZipArchive::new(file)?;
        for index in 0..archive.len() {
            let name = archive.name_for_index(index).and_then(Result::ok).unwrap_or_default();
            let name = below(path, &name);
            let flow = match archive.by_index(index) {
                Ok(entry) if !entry.is_file() => continue,
                Ok(entry) => {
                    let written = entry.last_modified().and_then(zip_time);
                    let about = About { path: &name, written, size: Some(entry.size()) };
                    let mut stream = Metered::new(entry, &self.left);
                    self.inside(about, depth, &mut stream)
                }
                // Encrypted, or packed in a way that is not read.
                Err(error) => {
                    let about = About { path: &name, written: None, size: None };
                    self.show(about, &mut Broken(Some(error.into())))
                }
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The path of a member below that of its archive.
fn below(archive: &str, path: &str) -> String {
    let parts = path.split(['/', '\\']).filter(|part| !matches!(*part, "" | "." | ".."));
    let path = parts.collect::<Vec<_>>().join("/");
    if archive.is_empty() { path } else { format!("{archive}/{path}") }
}

/// Reads to the end of a member, of which nobody wants more.
fn pass_over(member: &mut dyn Read) -> io::Result<()> {
    io::copy(member, &mut io::sink()).map(drop)
}

fn seconds(unix: u64) -> Option<Time> {
    i64::try_from(unix).ok()?.checked_mul(SECOND).map(Time)
}

/// Zip has the local time of whoever packed, to two seconds; it is taken for UTC.
fn zip_time(stamp: zip::DateTime) -> Option<Time> {
    let second = (i64::from(stamp.hour()) * 60 + i64::from(stamp.minute())) * 60 + i64::from(stamp.second());
    let (year, month, day) = (stamp.year(), stamp.month(), stamp.day());
    Time::from_date(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?, second * SECOND)
}

fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// Whether a block is the header of a tar archive: its checksum, in octal at 148, is the sum of all its bytes with
/// blanks in place of the checksum (POSIX.1-1988, ustar; archives before it too).
fn is_tar(head: &[u8]) -> bool {
    let Some(field) = head.get(148..156).filter(|_| head.len() == BLOCK && head[0] != 0) else { return false };
    let digits = field.split(|byte| matches!(byte, b' ' | 0)).find(|digits| !digits.is_empty()).unwrap_or_default();
    let told = std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 8).ok());
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    told == Some(sum(&head[..148]) + 8 * u32::from(b' ') + sum(&head[156..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(1_795_340_180);
            archive.append_data(&mut header, path, *bytes).expect("memory takes it");
        }
        archive.into_inner().expect("memory takes it")
    }

    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (path, bytes) in members {
            archive.start_file(*path, zip::write::SimpleFileOptions::default()).expect("memory takes it");
            archive.write_all(bytes).expect("memory takes it");
        }
        archive.finish().expect("memory takes it").into_inner()
    }

    /// Each member's path, and its text or what went wrong with it; and what went wrong with the archive.
    fn walked(bytes: &[u8]) -> (Vec<String>, Option<String>) {
        let mut seen = Vec::new();
        let ended = visit(Cursor::new(bytes), bytes.len() as u64, &mut |member, stream| {
            assert_eq!(member.number, seen.len());
            let mut text = Vec::new();
            let read = stream.read_to_end(&mut text);
            let text = read.map_or_else(|error| format!("({error})"), |_| String::from_utf8_lossy(&text).into_owned());
            seen.push(format!("{}={}", member.path, &text[..text.len().min(40)]));
            ControlFlow::Continue(())
        });
        (seen, ended.err().map(|error| error.to_string()))
    }

    #[test]
    fn wrappings_are_undone_in_any_order() {
        let inner = tar(&[("./h/a.gz", &gz(b"one")), ("h/b", b"two")]);
        let outer = tar(&[("x.tar.gz", &gz(&inner)), ("x.zip", &zip(&[("d\\c", b"three"), ("e.tar", &inner)]))]);
        let want = [
            "x.tar.gz/h/a.gz=one",
            "x.tar.gz/h/b=two",
            "x.zip/d/c=three",
            "x.zip/e.tar/h/a.gz=one",
            "x.zip/e.tar/h/b=two",
        ];
        assert_eq!(walked(&gz(&outer)), (want.map(str::to_owned).to_vec(), None));
        assert_eq!(below("x.tar", "/../h/./b"), "x.tar/h/b");
        assert_eq!(walked(b"alone"), (vec!["=alone".to_owned()], None));
        assert_eq!(walked(&gz(&gz(b"alone"))), (vec!["=alone".to_owned()], None));
    }

    #[test]
    fn bombs_end_with_a_word_and_harm_no_other_member() {
        let bomb = gz(&vec![b'x'; 8 << 20]);
        let (seen, ended) = walked(&tar(&[("a", b"one"), ("bomb.gz", &bomb), ("z", b"two")]));
        assert_eq!((&seen[0][..], &seen[2][..], ended), ("a=one", "z=two", None));
        assert!(seen[1].starts_with("bomb.gz=(unpacks to more than logs do"), "{}", seen[1]);
        let mut deep = b"deep".to_vec();
        (0..2 * DEEPEST).for_each(|_| deep = gz(&deep));
        assert_eq!(walked(&deep).0.len(), 1, "what is wrapped deeper is shown as it is");
    }

    #[test]
    fn what_comes_before_damage_is_shown() {
        let whole = gz(&tar(&[("a", b"one"), ("b", &[b'x'; 100_000].map(|b| b ^ 1))]));
        let (seen, _) = walked(&whole[..whole.len() - 20]);
        assert_eq!(seen[0], "a=one");
        let (seen, ended) = walked(&tar(&[("a", b"one"), ("b.gz", &gz(b"two")[..15])])[..]);
        assert!(seen[0] == "a=one" && seen[1].starts_with("b.gz=(") && ended.is_none(), "{seen:?} {ended:?}");
        let (seen, ended) = walked(&zip(&[("a", b"one")])[..20]);
        assert!(seen.is_empty() && ended.is_some(), "{seen:?}");
    }
}
