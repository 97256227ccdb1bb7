//! The streams between an archive and its members: what decompresses, and what keeps that within bounds.

use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

const TOO_MUCH: &str = "unpacks to more than logs do: a decompression bomb, or else unpack it first";

/// Memory that the dictionary of an xz stream may take: `xz -9` makes one of 64 MiB.
const MOST_DICTIONARY: u64 = 256 << 20;

/// A decoder of xz streams, one after the other.
pub fn xz<R: io::BufRead>(source: R) -> io::Result<XzDecoder<R>> {
    Ok(XzDecoder::new_stream(source, Stream::new_stream_decoder(MOST_DICTIONARY, CONCATENATED)?))
}

/// An error that says what is wrong with an archive.
pub fn broken(why: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

/// A stream that only says why it can't be read.
pub struct Broken(pub Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// What comes out of a decompressor, while there is room.
pub struct Metered<R> {
    stream: R,
    left: Rc<Cell<u64>>,
    /// The damage that was met, which is met again: decompressors tell it once, and then that all is well.
    damage: Option<(io::ErrorKind, String)>,
}

impl<R: Read> Metered<R> {
    /// With what is left for all of an archive.
    pub fn new(stream: R, left: &Rc<Cell<u64>>) -> Self {
        Metered { stream, left: left.clone(), damage: None }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((kind, why)) = &self.damage {
            return Err(io::Error::new(*kind, why.clone()));
        }
        let read = self.stream.read(buffer).and_then(|n| {
            let left = self.left.get().checked_sub(n as u64);
            self.left.set(left.ok_or_else(|| broken(&TOO_MUCH))?);
            Ok(n)
        });
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.damage = Some((error.kind(), error.to_string()));
        }
        read
    }
}

/// A member of a tar archive, which may be longer than what is left of the archive.
pub struct Whole<R> {
    stream: R,
    left: u64,
}

impl<R: Read> Whole<R> {
    /// A member of so many bytes.
    pub fn new(left: u64, stream: R) -> Self {
        Whole { stream, left }
    }
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buffer)?;
        if n == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends within it"));
        }
        self.left = self.left.saturating_sub(n as u64);
        Ok(n)
    }
}

/// A tar archive, of which only so much is read until the next member is found.
pub struct Headers<R> {
    stream: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Headers<R> {
    /// `left` is set anew by whoever finds a member.
    pub fn new(stream: R, left: &Rc<Cell<u64>>) -> Self {
        Headers { stream, left: left.clone() }
    }
}

impl<R: Read> Read for Headers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buffer)?;
        let left = self.left.get().checked_sub(n as u64);
        self.left.set(left.ok_or_else(|| broken(&"a name or map beyond all measure"))?);
        Ok(n)
    }
}

/// Zstandard: one frame after the other, as `cat a.zst b.zst` makes them.
pub struct Zstd<R: Read> {
    source: BufReader<R>,
    frame: Option<ruzstd::decoding::FrameDecoder>,
}

impl<R: Read> Zstd<R> {
    /// At the first frame.
    pub fn new(source: BufReader<R>) -> Self {
        Zstd { source, frame: None }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
        use std::io::BufRead;
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
                // The decoder keeps back a window until more is decoded.
                0 if !buffer.is_empty() => {}
                n => return Ok(n),
            }
        }
    }
}
