//! A picture in characters: braille dots in lines as wide as the terminal.

use super::columns::{Column, columns};
use super::{Axis, Mark, MarkKind, Panel, Picture, Shape};
use crate::render::plain;

/// How a terminal shows a picture.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Columns of characters.
    pub width: usize,
    /// Rows of characters that each panel's drawing takes.
    pub height: usize,
    /// Whether it knows colours. Nothing is told by colour alone.
    pub colour: bool,
}

/// Columns to the left of the drawing: a number, and the axis.
const MARGIN: usize = 9;

/// Fewer columns than these show nothing.
const NARROWEST: usize = 40;

/// Dots in a character of braille: across and down.
const ACROSS: usize = 2;
const DOWN: usize = 4;

/// Columns of characters that a tick's number needs.
const TICK: usize = 11;

/// What a character belongs to, and so its colour: those of Okabe and Ito nearest to a terminal's 256, legible on light and
/// on dark ground.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ink {
    #[default]
    Text,
    Faint,
    Line,
    Warning,
    Start,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Ink::Text => "",
            Ink::Faint => "\x1b[2m",
            Ink::Line => "\x1b[38;5;32m",
            Ink::Warning => "\x1b[38;5;166m",
            Ink::Start => "\x1b[38;5;36m",
        }
    }
}

/// A line of characters, each in its colour.
type Cells = Vec<(char, Ink)>;

/// Draws it.
#[must_use]
pub fn draw(picture: &Picture, terminal: Terminal) -> String {
    let width = terminal.width.max(NARROWEST);
    let mut lines: Vec<Cells> = Vec::new();
    for (at, panel) in picture.panels.iter().enumerate() {
        lines.push(heading(panel, width));
        lines.extend(panel_rows(panel, width - MARGIN, terminal.height.max(1)));
        if picture.panels.get(at + 1).is_none_or(|next| next.x != panel.x) {
            lines.extend(axis_rows(&panel.x, width));
        }
    }
    let signs = picture.signs.iter().rev().map(|kind| format!("{} {}", kind.sign().0, kind.sign().1));
    let signs = signs.collect::<Vec<_>>().join(", ");
    for note in [&signs].into_iter().chain(&picture.notes).filter(|note| !note.is_empty()) {
        lines.extend(crate::render::wrapped(note, "", "  ").iter().map(|line| text(line, Ink::Text)));
    }
    lines.iter().map(|cells| written(cells, terminal.colour)).collect()
}

fn text(text: &str, ink: Ink) -> Cells {
    plain(text).chars().map(|c| (c, ink)).collect()
}

/// Label at the left, note at the right; the label gives way.
fn heading(panel: &Panel, width: usize) -> Cells {
    let (_, unit) = panel.y.shown();
    let label = if unit.is_empty() { panel.label.clone() } else { format!("{} ({unit})", panel.label) };
    let (mut label, note) = (text(&label, Ink::Text), text(&panel.note, Ink::Faint));
    label.truncate(width.saturating_sub(note.len() + 1));
    label.resize(width.saturating_sub(note.len()).max(label.len() + 1), (' ', Ink::Text));
    label.extend(note);
    label.truncate(width);
    label
}

/// The drawing of one panel: `height` rows of `width` characters behind the margin, and a row of marks where there are any.
fn panel_rows(panel: &Panel, width: usize, height: usize) -> Vec<Cells> {
    let mut canvas = Canvas::new(width, height);
    match &panel.shape {
        Shape::Line { points, patience } => {
            let patience = if panel.x.is_log { f64::INFINITY } else { *patience };
            canvas.line(&columns(points, &panel.x, width * ACROSS), &panel.y, patience);
        }
        Shape::Dots(points) => {
            for (x, y) in points.iter().filter(|(x, _)| panel.x.holds(*x)) {
                let column = ((panel.x.place(*x) * canvas.across() as f64) as usize).min(canvas.across() - 1);
                canvas.bar(column, panel.y.place(*y), panel.y.place(*y));
            }
        }
        Shape::Bars(bars) => {
            for (from, to, y) in bars.iter().filter(|(.., y)| *y > 0.0) {
                canvas.block(panel.x.place(*from), panel.x.place(*to), 0.0, panel.y.place(*y));
            }
        }
        Shape::Ranges(ranges) => {
            for (from, to, of) in ranges {
                let [low, middle, high] = of.map(|value| panel.y.place(value));
                // Two thirds as wide, so that neighbours stay apart; the middle is as wide as the hour.
                let (left, right) = (panel.x.place(*from), panel.x.place(*to));
                let inset = (right - left) / 3.0;
                canvas.block(left + inset, right - inset, low, high);
                canvas.block(left, right, middle, middle);
            }
        }
    }
    let mut rows = canvas.rows(&panel.y);
    rows.extend(mark_row(&panel.marks, &panel.x, width));
    rows
}

/// Dots, each with its place from the upper left.
struct Canvas {
    width: usize,
    height: usize,
    dots: Vec<bool>,
    /// Columns of characters with points above and below the scale.
    above: Vec<bool>,
    below: Vec<bool>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Canvas {
        let dots = vec![false; width * ACROSS * height * DOWN];
        Canvas { width, height, dots, above: vec![false; width], below: vec![false; width] }
    }

    fn across(&self) -> usize {
        self.width * ACROSS
    }

    /// The row of dots where a place on the axis lies, from above; outside, the nearest.
    fn row(&self, place: f64) -> usize {
        let down = self.height * DOWN;
        (((1.0 - place) * down as f64).max(0.0) as usize).min(down - 1)
    }

    fn dot(&mut self, column: usize, row: usize) {
        let at = row * self.across() + column;
        if let Some(dot) = self.dots.get_mut(at) {
            *dot = true;
        }
    }

    /// Dots from one place on the axis to another.
    fn bar(&mut self, column: usize, low: f64, high: f64) {
        for row in self.row(high)..=self.row(low) {
            self.dot(column, row);
        }
        let cell = (column / ACROSS).min(self.width - 1);
        self.above[cell] |= high > 1.0;
        self.below[cell] |= low < 0.0;
    }

    /// Dots in a rectangle of places.
    fn block(&mut self, left: f64, right: f64, low: f64, high: f64) {
        let across = self.across() as f64;
        let (from, to) = ((left * across).round().max(0.0) as usize, (right * across).round() as usize);
        for column in from..to.max(from + 1).min(self.across()) {
            self.bar(column, low, high);
        }
    }

    /// What each column shows, joined with the column before unless that is too long ago.
    fn line(&mut self, columns: &[Option<Column>], y: &Axis, patience: f64) {
        let mut before: Option<(usize, Column)> = None;
        for (at, column) in columns.iter().enumerate().filter_map(|(at, column)| Some((at, (*column)?))) {
            self.bar(at, y.place(column.low), y.place(column.high));
            if let Some((from, last)) = before.filter(|(_, c)| column.first.0 - c.last.0 <= patience) {
                self.join((from, y.place(last.last.1)), (at, y.place(column.first.1)));
            }
            before = Some((at, column));
        }
    }

    /// A straight line from one column to a later one, halfway up or down at each column between.
    fn join(&mut self, from: (usize, f64), to: (usize, f64)) {
        let (start, end) = (from.1.clamp(0.0, 1.0), to.1.clamp(0.0, 1.0));
        let width = (to.0 - from.0).max(1) as f64;
        for column in from.0..=to.0 {
            let share = |offset: f64| ((column - from.0) as f64 + offset).clamp(0.0, width) / width;
            let (a, b) = (start + (end - start) * share(-0.5), start + (end - start) * share(0.5));
            self.bar(column, a.min(b), a.max(b));
        }
    }

    /// Rows of characters, with numbers and the axis at the left.
    fn rows(&self, y: &Axis) -> Vec<Cells> {
        let ticks = y.ticks((self.height / 2).clamp(2, 6));
        let zero = (!y.is_log && y.low < 0.0 && y.high > 0.0).then(|| self.row(y.place(0.0)) / DOWN);
        let mut rows = Vec::with_capacity(self.height);
        for row in 0..self.height {
            let on_row = |value: &f64| self.row(y.place(*value)) / DOWN == row;
            let tick = ticks.iter().find(|(value, _)| on_row(value)).map(|(_, written)| written.as_str());
            let axis = if tick.is_some() { '┤' } else { '│' };
            let mut cells = text(&format!("{:>1$}", tick.unwrap_or_default(), MARGIN - 1), Ink::Faint);
            cells.push((axis, Ink::Faint));
            cells.extend((0..self.width).map(|column| self.cell(column, row, zero == Some(row))));
            rows.push(cells);
        }
        rows
    }

    fn cell(&self, column: usize, row: usize, is_zero: bool) -> (char, Ink) {
        if row == 0 && self.above.get(column) == Some(&true) {
            return ('▲', Ink::Warning);
        }
        if row + 1 == self.height && self.below.get(column) == Some(&true) {
            return ('▼', Ink::Warning);
        }
        // Bits of U+2800: dots 1–3 and 7 down the left, 4–6 and 8 down the right.
        const BITS: [[u32; DOWN]; ACROSS] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        let mut bits = 0;
        for (across, down) in BITS.iter().enumerate() {
            for (at, bit) in down.iter().enumerate() {
                let dot = (row * DOWN + at) * self.across() + column * ACROSS + across;
                bits |= if self.dots.get(dot) == Some(&true) { *bit } else { 0 };
            }
        }
        match char::from_u32(0x2800 + bits).filter(|_| bits > 0) {
            Some(braille) => (braille, Ink::Line),
            None if is_zero => ('┈', Ink::Faint),
            None => (' ', Ink::Text),
        }
    }
}

/// A row with the signs of what happened.
fn mark_row(marks: &[Mark], x: &Axis, width: usize) -> Option<Cells> {
    let mut cells = vec![(' ', Ink::Text); width];
    for kind in MarkKind::ALL {
        let ink = match kind {
            MarkKind::Gap => Ink::Faint,
            MarkKind::Start => Ink::Start,
            MarkKind::Step | MarkKind::Fault => Ink::Warning,
        };
        for mark in marks.iter().filter(|mark| mark.kind == kind && mark.to >= x.low && mark.from <= x.high) {
            let column = |at: f64| ((x.place(at).clamp(0.0, 1.0) * width as f64) as usize).min(width - 1);
            cells[column(mark.from)..=column(mark.to)].fill((kind.sign().0, ink));
        }
    }
    let margin = std::iter::repeat_n((' ', Ink::Text), MARGIN);
    cells.iter().any(|(c, _)| *c != ' ').then(|| margin.chain(cells.iter().copied()).collect())
}

/// The axis to the right, its numbers below it, and of time from when to when it goes.
fn axis_rows(x: &Axis, all: usize) -> Vec<Cells> {
    let width = all - MARGIN;
    let mut line: Vec<char> = vec!['─'; width];
    let mut numbers = vec![' '; all];
    let (factor, unit) = x.shown();
    let name = match x.unit {
        super::Unit::Instant => "UTC".to_owned(),
        _ if x.is_log || factor == 1.0 && unit.is_empty() => "s".to_owned(),
        _ => unit.to_owned(),
    };
    numbers.splice(..name.chars().count().min(all), name.chars());
    let mut free = name.chars().count() + 1;
    for (value, written) in x.ticks((width / TICK).max(2)) {
        let column = ((x.place(value) * width as f64) as usize).min(width - 1);
        line[column] = '┬';
        let length = written.chars().count();
        let start = (MARGIN + column).saturating_sub(length / 2).min(all - length.min(all));
        if start >= free && start + length <= all {
            numbers.splice(start..start + length, written.chars());
            free = start + length + 1;
        }
    }
    let mut axis = vec![(' ', Ink::Text); MARGIN - 1];
    axis.push(('└', Ink::Faint));
    axis.extend(line.into_iter().map(|c| (c, Ink::Faint)));
    let mut rows = vec![axis, numbers.into_iter().map(|c| (c, Ink::Faint)).collect()];
    rows.extend(x.span().map(|span| text(&format!("{:MARGIN$}{span}", ""), Ink::Faint)));
    rows
}

/// The line as text, without blanks at its end.
fn written(cells: &[(char, Ink)], colour: bool) -> String {
    let end = cells.iter().rposition(|(c, _)| *c != ' ').map_or(0, |last| last + 1);
    let (mut line, mut ink) = (String::new(), Ink::Text);
    for (c, of) in cells.iter().take(end) {
        if colour && *of != ink && *c != ' ' {
            line.push_str(if ink == Ink::Text { "" } else { "\x1b[0m" });
            line.push_str(of.code());
            ink = *of;
        }
        line.push(*c);
    }
    line.push_str(if colour && ink != Ink::Text { "\x1b[0m\n" } else { "\n" });
    line
}

#[cfg(test)]
mod tests {
    use super::super::{Point, Unit, daily, line, patience_s};
    use super::*;
    use expect_test::expect;

    /// A day of swings that grow until the clock is stepped, with a spike and a silence.
    fn swings() -> Vec<Point> {
        let at = |n: i32| f64::from(n) * 64.0;
        let silent = |n: &i32| !(1000..1100).contains(n);
        let mut points: Vec<Point> =
            (0..1350).filter(silent).map(|n| (at(n), f64::from(n % 600) * 2e-4 * (at(n) / 900.0).sin())).collect();
        points[300].1 = 5.0;
        points
    }

    #[test]
    fn a_picture_says_all_without_colour() {
        let marks = [(MarkKind::Step, 600.0), (MarkKind::Step, 1200.0), (MarkKind::Start, 0.0)];
        let marks = marks.map(|(kind, n)| Mark { kind, from: n * 64.0, to: n * 64.0 });
        let panel = line("h1\u{1b} offset".into(), swings(), Unit::Seconds, marks.to_vec()).expect("there are points");
        let signs = panel.marks.iter().map(|mark| mark.kind).collect();
        let notes =
            vec!["FAULT: one (probability 0.99): a sentence that is longer than a line of eighty characters is".into()];
        let picture = Picture { panels: vec![panel], signs, notes };
        let terminal = Terminal { width: 80, height: 5, colour: false };
        let drawn = draw(&picture, terminal);
        assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
        expect![[r#"
            h1� offset (ms)                       -119 to 5000 ms, median 0.127; 1 beyond ▲▼
                 200┤               ▲
                    │               ⢸        ⣀   ⢠⣄                               ⣤⡀
                    │     ⣀⣀  ⢀⡤⡄  ⡴⢺⡀ ⢠⠏⢧  ⣸⠉⡇ ⢀⡏⠸⡄      ⢀⣀⡀  ⡤⢤  ⢠⠖⣆  ⡼⠉    ⢠⡀ ⢸⠁⢧       ⣀
                   0┤⠉⠉⠙⠒⠋⠁⠈⠳⠴⠋┈⠙⣆⡼⠁┈⢳⣀⡞┈⠘⣆⢠⠇┈⢹⡀⣸┈┈⣇⢸⠉⠉⠉⠓⠒⠋┈⠙⠦⠞⠁⠈⢳⣠⠏┈⠘⣆⣰⠃┈┈┈┈┈┈⣇┈⡏┈⠸⡏⠉⠉⠉⠙⠒⠚⠁
                    │                 ⠉   ⠘⠋   ⠧⠇  ⠸⣼                 ⠈⠁       ⠸⠼⠁
                     r                              s                    ░░░░░░     s
                    └┬────────────────┬─────────────────┬─────────────────┬─────────────────
            UTC    01-01            06:00             12:00             18:00
                     1970-01-01T00:00:00Z to 1970-01-01T23:58:56Z
            s step, r start of the daemon, ░ no rows
            FAULT: one (probability 0.99): a sentence that is longer than a line of eighty
              characters is
        "#]]
        .assert_eq(&drawn);
        let coloured = draw(&picture, Terminal { colour: true, ..terminal });
        let bare: String = coloured
            .split('\x1b')
            .map(|part| part.strip_prefix('[').map_or(part, |code| code.split_once('m').map_or("", |(_, rest)| rest)))
            .collect();
        assert_eq!(bare, drawn);
    }

    #[test]
    fn every_width_and_height_can_be_drawn() {
        let points = swings();
        assert!(patience_s(&points).is_finite());
        let panels = vec![daily("h".into(), &points, Unit::Seconds).expect("there are points")];
        let picture = Picture { panels, ..Picture::default() };
        for (width, height) in [(0, 0), (41, 1), (300, 50)] {
            assert!(draw(&picture, Terminal { width, height, colour: true }).lines().count() > height);
        }
    }
}
