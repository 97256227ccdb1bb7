//! A sheet with shapes on it, in colours that fit its ground.

use kuva::render::color::Color;
use kuva::render::render::{PathData, Primitive, Scene, TextAnchor};
use ntpscope_core::render::plain;
use ntpscope_core::render::plot::{MarkKind, OKABE_ITO, Point};

/// What a picture is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// White.
    Light,
    /// Nearly black.
    Dark,
}

type Rgb = (u8, u8, u8);

/// The colours of what is drawn; those with a meaning are of [`OKABE_ITO`].
#[derive(Clone, Copy, Debug)]
pub struct Inks {
    ground: Rgb,
    pub text: Rgb,
    pub faint: Rgb,
    pub grid: Rgb,
    pub gap: Rgb,
    pub line: Rgb,
    pub step: Rgb,
    pub start: Rgb,
    pub fault: Rgb,
}

impl Inks {
    fn on(ground: Ground) -> Inks {
        let [orange, sky_blue, green, _, blue, vermilion, purple] = OKABE_ITO;
        match ground {
            Ground::Light => Inks {
                ground: (255, 255, 255),
                text: (30, 30, 30),
                faint: (96, 96, 96),
                grid: (222, 222, 222),
                gap: (232, 232, 232),
                line: blue,
                step: vermilion,
                start: green,
                fault: purple,
            },
            Ground::Dark => Inks {
                ground: (20, 22, 26),
                text: (232, 232, 232),
                faint: (165, 165, 165),
                grid: (58, 61, 68),
                gap: (44, 47, 54),
                line: sky_blue,
                step: orange,
                start: green,
                fault: purple,
            },
        }
    }
}

/// Sizes in pixels: of letters, lines, dots, and of triangles at the edge.
const LETTER: u32 = 12;
const STROKE: f64 = 1.0;
const DOT: f64 = 1.2;
pub const TRIANGLE: f64 = 8.0;

/// Shapes, and how high the sheet is.
pub struct Sheet {
    pub ink: Inks,
    pub height: f64,
    width: f64,
    shapes: Vec<Primitive>,
}

impl Sheet {
    pub fn new(width: f64, ground: Ground) -> Sheet {
        Sheet { ink: Inks::on(ground), height: 0.0, width, shapes: Vec::new() }
    }

    pub fn scene(self) -> Scene {
        let mut scene = Scene::new(self.width, self.height).with_background(Some(&hex(self.ink.ground)));
        scene.text_color = Some(hex(self.ink.text));
        scene.font_family = Some("DejaVu Sans, Verdana, sans-serif".into());
        scene.elements = self.shapes;
        scene
    }

    pub fn text(&mut self, (x, y): Point, text: &str, anchor: TextAnchor, ink: Rgb) {
        // Between two of them kuva reads mathematics.
        let content = plain(text).replace('$', "\\$");
        self.shapes.push(Primitive::Text {
            x,
            y,
            content,
            size: LETTER,
            anchor,
            rotate: None,
            bold: false,
            color: Some(color(ink)),
        });
    }

    /// A straight line.
    pub fn rule(&mut self, from: Point, to: Point, ink: Rgb, stroke_width: f64) {
        let (stroke, stroke_dasharray) = (color(ink), None);
        self.shapes.push(Primitive::Line {
            x1: from.0,
            y1: from.1,
            x2: to.0,
            y2: to.1,
            stroke,
            stroke_width,
            stroke_dasharray,
        });
    }

    /// A filled rectangle between its upper left and lower right corner.
    pub fn area(&mut self, from: Point, to: Point, ink: Rgb) {
        let (width, height) = ((to.0 - from.0).max(0.5), (to.1 - from.1).max(0.5));
        let fill = color(ink);
        self.shapes.push(Primitive::Rect {
            x: from.0,
            y: from.1,
            width,
            height,
            fill,
            stroke: None,
            stroke_width: None,
            opacity: None,
        });
    }

    /// A line through points; a dot where there is but one.
    pub fn line(&mut self, points: Vec<Point>) {
        if points.len() == 1 {
            return self.dots(points.into_iter());
        }
        if !points.is_empty() {
            let stroke = color(self.ink.line);
            self.shapes.push(Primitive::PolyLine { points, stroke, stroke_width: STROKE, stroke_dasharray: None });
        }
    }

    /// Dots; those that fall on one half of a pixel are one.
    pub fn dots(&mut self, points: impl Iterator<Item = Point>) {
        let mut places: Vec<(i64, i64)> = points.map(|(x, y)| ((x * 2.0) as i64, (y * 2.0) as i64)).collect();
        places.sort_unstable();
        places.dedup();
        let (cx, cy) = places.into_iter().map(|(x, y)| (x as f64 / 2.0, y as f64 / 2.0)).unzip();
        let fill = color(self.ink.line);
        self.shapes.push(Primitive::CircleBatch {
            cx,
            cy,
            r: DOT,
            fill,
            fill_opacity: None,
            stroke: None,
            stroke_width: None,
        });
    }

    /// At the edge, with its point outwards.
    pub fn triangle(&mut self, (x, y): Point, is_up: bool) {
        let (half, foot) = (TRIANGLE / 2.0, if is_up { y + TRIANGLE } else { y - TRIANGLE });
        let d = format!("M {x:.1} {y:.1} L {:.1} {foot:.1} L {:.1} {foot:.1} Z", x - half, x + half);
        let path = PathData {
            d,
            fill: Some(color(self.ink.step)),
            stroke: Color::None,
            stroke_width: 0.0,
            opacity: None,
            stroke_dasharray: None,
        };
        self.shapes.push(Primitive::Path(Box::new(path)));
    }

    /// What a mark looks like, for the line that says what it means.
    pub fn swatch(&mut self, (x, y): Point, kind: MarkKind) {
        match kind {
            MarkKind::Gap => self.area((x, y), (x + 12.0, y + 10.0), self.ink.gap),
            MarkKind::Fault => self.area((x, y + 3.0), (x + 12.0, y + 8.0), self.ink.fault),
            MarkKind::Start => self.rule((x + 6.0, y), (x + 6.0, y + 10.0), self.ink.start, 2.0),
            MarkKind::Step => self.rule((x + 6.0, y), (x + 6.0, y + 10.0), self.ink.step, 2.0),
        }
    }
}

fn color((r, g, b): Rgb) -> Color {
    Color::Rgb(r, g, b)
}

fn hex((r, g, b): Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}
