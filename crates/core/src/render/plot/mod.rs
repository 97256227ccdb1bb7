//! Pictures: what is drawn, in numbers, before anyone draws it.
//!
//! A [`Picture`] is panels below each other, each with its own two axes; [`terminal`] draws it in characters, and the
//! program draws the same in files. Everything is decided here: scales, ticks, what lies beyond them, and the columns of
//! pixels, so that all drawings of one picture agree.

mod allan;
mod axis;
mod columns;
mod compose;
mod hours;
mod panels;
mod statistics;
pub mod terminal;
mod traces;

pub use allan::allan;
pub use axis::{Axis, Unit};
pub use columns::{Column, columns, gaps, patience_s, visible};
pub use compose::{Kind, Material, View, picture, statistics};
pub use hours::hours;
pub use panels::{Bounds, daily, histogram, line, share, stability, wedge};
pub use statistics::{Statistics, deviations, table};
pub use traces::{Quantity, Trace, Traces};

use std::collections::BTreeSet;

/// A point: `x` (seconds since 1970 where it is a time), and `y`.
pub type Point = (f64, f64);

/// Panels that stand below each other.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// From above.
    pub panels: Vec<Panel>,
    /// The kinds of marks that its panels have.
    pub signs: BTreeSet<MarkKind>,
    /// What to know about it: how to read it, what was found.
    pub notes: Vec<String>,
}

/// One thing that is drawn.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Whose, and what.
    pub label: String,
    /// How much of it lies where, in a few words.
    pub note: String,
    /// To the right; panels that follow each other with the same one share it.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// What is drawn.
    pub shape: Shape,
    /// What happened meanwhile, by time.
    pub marks: Vec<Mark>,
}

/// How something is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A line through points in the order of `x`, broken where there are none for longer than `patience`.
    Line {
        /// The points.
        points: Vec<Point>,
        /// The longest stretch of `x` that the line bridges.
        patience: f64,
    },
    /// A cloud of points.
    Dots(Vec<Point>),
    /// Bars side by side: from, to, height.
    Bars(Vec<(f64, f64, f64)>),
    /// Ranges side by side, each with its middle: from, to, low, middle, high.
    Ranges(Vec<(f64, f64, [f64; 3])>),
}

/// Something that happened in a panel's time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// What.
    pub kind: MarkKind,
    /// From when, seconds since 1970.
    pub from: f64,
    /// Until when.
    pub to: f64,
}

/// What is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    /// A fault that the diagnosis claims of this host or source.
    Fault,
    /// No rows.
    Gap,
    /// The daemon started.
    Start,
    /// The clock was stepped.
    Step,
}

impl MarkKind {
    /// All, what hides others last.
    pub const ALL: [MarkKind; 4] = [MarkKind::Fault, MarkKind::Gap, MarkKind::Start, MarkKind::Step];

    /// Its sign in a row of characters, and what it means.
    #[must_use]
    pub fn sign(self) -> (char, &'static str) {
        match self {
            MarkKind::Fault => ('=', "a fault is claimed"),
            MarkKind::Gap => ('░', "no rows"),
            MarkKind::Start => ('r', "start of the daemon"),
            MarkKind::Step => ('s', "step"),
        }
    }
}

/// The colours of Okabe and Ito (2008), which the colour-blind can tell apart: orange, sky blue, bluish green, yellow,
/// blue, vermilion, reddish purple.
pub const OKABE_ITO: [(u8, u8, u8); 7] =
    [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)];
