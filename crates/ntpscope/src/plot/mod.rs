//! Pictures as files: SVG and PNG, drawn by `kuva`.
//!
//! The core decides scales, ticks and columns of pixels; here they become shapes at places on a sheet.

mod sheet;

use anyhow::{Context, anyhow, bail};
use kuva::RasterBackend;
use kuva::backend::svg::SvgBackend;
use kuva::render::render::TextAnchor;
use ntpscope_core::render::plot::{Axis, MarkKind, Panel, Picture, Point, Shape, Unit, columns};
pub use sheet::Ground;
use sheet::Sheet;
use std::path::Path;

/// Pixels of the sheet, and where on it panels begin and end.
const WIDTH: f64 = 1000.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 14.0;

/// Heights of a panel, where there are few and where there are many.
const TALL: f64 = 180.0;
const FLAT: f64 = 96.0;
const FEW: usize = 3;

/// A line of text; room for an axis with its numbers; room between panels.
const LINE: f64 = 17.0;
const AXIS: f64 = 24.0;
const APART: f64 = 8.0;

/// Columns that a line is reduced to: two a pixel, since a bitmap has two dots a pixel.
const COLUMNS: usize = 2 * (RIGHT - LEFT) as usize;
const DOTS_A_PIXEL: f32 = 2.0;

/// Pixels between ticks, and between lines of notes in characters.
const TICK: f64 = 90.0;
const NOTE: usize = 150;

/// Writes the picture, as the ending of the file's name says.
pub fn save(picture: &Picture, path: &Path, ground: Ground) -> anyhow::Result<()> {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    let scene = || sheet_of(picture, ground).scene();
    let bytes = match ending.as_deref() {
        Some("svg") => SvgBackend::new().with_pretty(true).render_scene(&scene()).into_bytes(),
        Some("png") => {
            let raster = RasterBackend::new().with_scale(DOTS_A_PIXEL);
            raster.render_scene(&scene()).map_err(|error| anyhow!("can't draw {}: {error}", path.display()))?
        }
        _ => bail!("{}: a picture's name ends in .svg or .png", path.display()),
    };
    std::fs::write(path, bytes).with_context(|| format!("can't write {}", path.display()))
}

fn sheet_of(picture: &Picture, ground: Ground) -> Sheet {
    let height = if picture.panels.len() <= FEW { TALL } else { FLAT };
    let mut sheet = Sheet::new(WIDTH, ground);
    let mut y = TOP;
    for (at, panel) in picture.panels.iter().enumerate() {
        y += LINE;
        heading(&mut sheet, panel, y - 5.0);
        Frame { panel, top: y, bottom: y + height }.draw(&mut sheet);
        y += height;
        if picture.panels.get(at + 1).is_none_or(|next| next.x != panel.x) {
            axis(&mut sheet, &panel.x, y);
            y += AXIS + if panel.x.span().is_some() { LINE } else { 0.0 };
        }
        y += APART;
    }
    y += LINE;
    let mut x = LEFT;
    for kind in picture.signs.iter().rev() {
        sheet.swatch((x, y - 9.0), *kind);
        sheet.text((x + 18.0, y), kind.sign().1, TextAnchor::Start, sheet.ink.text);
        x += 40.0 + 7.0 * kind.sign().1.chars().count() as f64;
    }
    y += if picture.signs.is_empty() { 0.0 } else { LINE };
    for line in picture.notes.iter().flat_map(|note| textwrap::wrap(note, NOTE)) {
        sheet.text((LEFT, y), &line, TextAnchor::Start, sheet.ink.text);
        y += LINE;
    }
    sheet.height = y;
    sheet
}

fn heading(sheet: &mut Sheet, panel: &Panel, y: f64) {
    let (_, unit) = panel.y.shown();
    let label = if unit.is_empty() { panel.label.clone() } else { format!("{} ({unit})", panel.label) };
    sheet.text((LEFT, y), &label, TextAnchor::Start, sheet.ink.text);
    sheet.text((RIGHT, y), &panel.note, TextAnchor::End, sheet.ink.faint);
}

/// The axis below panels.
fn axis(sheet: &mut Sheet, x: &Axis, y: f64) {
    sheet.rule((LEFT, y), (RIGHT, y), sheet.ink.faint, 1.0);
    let name = match (x.unit, x.is_log) {
        (Unit::Instant, _) => "UTC",
        (_, true) => "s",
        _ => x.shown().1,
    };
    // Left of half a number: one may stand below the beginning of the axis.
    sheet.text((LEFT - 30.0, y + 17.0), name, TextAnchor::End, sheet.ink.faint);
    for (value, written) in x.ticks(((RIGHT - LEFT) / TICK) as usize) {
        let at = across(x, value);
        sheet.rule((at, y), (at, y + 4.0), sheet.ink.faint, 1.0);
        sheet.text((at, y + 17.0), &written, TextAnchor::Middle, sheet.ink.faint);
    }
    if let Some(span) = x.span() {
        sheet.text((LEFT, y + 17.0 + LINE), &span, TextAnchor::Start, sheet.ink.faint);
    }
}

fn across(x: &Axis, value: f64) -> f64 {
    LEFT + x.place(value).clamp(0.0, 1.0) * (RIGHT - LEFT)
}

/// Where a panel is drawn.
struct Frame<'a> {
    panel: &'a Panel,
    top: f64,
    bottom: f64,
}

impl Frame<'_> {
    /// A point's place on the sheet; what lies beyond the scale stands at its edge.
    fn place(&self, (x, y): Point) -> Point {
        (across(&self.panel.x, x), self.bottom - self.panel.y.place(y).clamp(0.0, 1.0) * (self.bottom - self.top))
    }

    fn draw(&self, sheet: &mut Sheet) {
        for mark in self.panel.marks.iter().filter(|mark| mark.to >= self.panel.x.low && mark.from <= self.panel.x.high)
        {
            let (from, to) = (across(&self.panel.x, mark.from), across(&self.panel.x, mark.to));
            match mark.kind {
                MarkKind::Gap => sheet.area((from, self.top), (to, self.bottom), sheet.ink.gap),
                MarkKind::Fault => {
                    sheet.area((from, self.bottom - 5.0), (to.max(from + 2.0), self.bottom), sheet.ink.fault);
                }
                MarkKind::Start => sheet.rule((from, self.top), (from, self.bottom), sheet.ink.start, 1.0),
                MarkKind::Step => sheet.rule((from, self.top), (from, self.bottom), sheet.ink.step, 1.0),
            }
        }
        for (value, written) in self.panel.y.ticks(((self.bottom - self.top) / 28.0) as usize) {
            let (_, y) = self.place((self.panel.x.low, value));
            sheet.rule((LEFT, y), (RIGHT, y), sheet.ink.grid, if value == 0.0 { 1.5 } else { 0.7 });
            sheet.text((LEFT - 8.0, y + 4.0), &written, TextAnchor::End, sheet.ink.faint);
        }
        sheet.rule((LEFT, self.top), (LEFT, self.bottom), sheet.ink.faint, 1.0);
        match &self.panel.shape {
            Shape::Line { points, patience } => self.line(sheet, points, *patience),
            Shape::Dots(points) => {
                let on_axis = points.iter().filter(|(x, _)| self.panel.x.holds(*x));
                sheet.dots(on_axis.map(|point| self.place(*point)));
                self.beyond(sheet, points.iter().copied());
            }
            Shape::Bars(bars) => {
                for (from, to, height) in bars {
                    sheet.area(self.place((*from, *height)), self.place((*to, 0.0)), sheet.ink.line);
                }
            }
            Shape::Ranges(ranges) => {
                for (from, to, [low, middle, high]) in ranges {
                    let (inset, half) = ((to - from) / 3.0, f64::midpoint(*from, *to));
                    sheet.area(self.place((from + inset, *high)), self.place((to - inset, *low)), sheet.ink.line);
                    let (x, y) = self.place((half, *middle));
                    sheet.rule((x - 10.0, y), (x + 10.0, y), sheet.ink.text, 2.0);
                }
            }
        }
    }

    fn line(&self, sheet: &mut Sheet, points: &[Point], patience: f64) {
        let mut stretch: Vec<Point> = Vec::new();
        let mut before = f64::INFINITY;
        for column in columns(points, &self.panel.x, COLUMNS).into_iter().flatten() {
            if column.first.0 - before > patience {
                sheet.line(std::mem::take(&mut stretch));
            }
            stretch.push(self.place(column.first));
            if column.last != column.first {
                let x = f64::midpoint(column.first.0, column.last.0);
                stretch.extend([column.low, column.high].map(|y| self.place((x, y))));
                stretch.push(self.place(column.last));
            }
            before = column.last.0;
        }
        sheet.line(stretch);
        self.beyond(sheet, points.iter().copied());
    }

    /// A triangle at the edge for each stretch of pixels with points beyond the scale.
    fn beyond(&self, sheet: &mut Sheet, points: impl Iterator<Item = Point>) {
        let mut last = [f64::NEG_INFINITY; 2];
        for point in points.filter(|(x, y)| self.panel.x.holds(*x) && !self.panel.y.holds(*y)) {
            let is_above = point.1 > self.panel.y.high;
            let (x, y) = self.place(point);
            let drawn = &mut last[usize::from(is_above)];
            if x - *drawn >= sheet::TRIANGLE {
                sheet.triangle((x, y), is_above);
                *drawn = x;
            }
        }
    }
}
