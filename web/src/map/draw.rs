//! Draws the map on a canvas. Lines of one look are drawn by one stroke, so that many cost little.

use std::collections::BTreeSet;
use std::f64::consts::TAU;

use leptos::prelude::*;
use peerage::node::Medium;
use peerage::{Kind, NodeId};
use wasm_bindgen::JsValue;
use web_sys::CanvasRenderingContext2d as Context;

use super::camera::Camera;
use super::layout::SPACING;
use super::scene::{Dot, Line, Scene};
use crate::units::millis;

/// Nodes of which all have their names written, however small the map is.
const NAMED_MAX: usize = 40;
/// Pixels from node to node from which all have their names written.
const NAMED_SPACING: f64 = 40.0;
/// Nodes around the one with the focus whose names and ways are written.
const TOLD_MAX: usize = 32;
/// Bytes a second from which a line is a step thicker.
const THICKER: [f64; 3] = [100.0, 10e3, 1e6];

/// The colours, as the page's style has them now.
pub(super) struct Palette {
    ground: String,
    ink: String,
    soft: String,
    accent: String,
    websocket: String,
    webrtc: String,
    enet: String,
}

/// What is drawn, and how.
pub(super) struct Picture<'a> {
    pub(super) scene: &'a Scene,
    pub(super) camera: &'a Camera,
    pub(super) palette: &'a Palette,
    pub(super) own: Option<NodeId>,
    /// Who is pointed at or has the focus.
    pub(super) focus: Option<NodeId>,
}

impl Palette {
    /// Reads them from the map's legend, which has each.
    pub(super) fn read() -> Self {
        let of = |what: &str| {
            let element = document().query_selector(&format!(".map .palette .{what}"));
            let element = element.ok().flatten();
            let style = element.and_then(|it| window().get_computed_style(&it).ok().flatten());
            let colour = style.and_then(|style| style.get_property_value("color").ok());
            colour.unwrap_or_else(|| String::from("gray"))
        };
        Self {
            ground: of("ground"),
            ink: of("ink"),
            soft: of("soft"),
            accent: of("accent"),
            websocket: of("websocket"),
            webrtc: of("webrtc"),
            enet: of("enet"),
        }
    }

    fn of(&self, medium: Option<Medium>) -> &str {
        match medium {
            Some(Medium::WebRtc) => &self.webrtc,
            Some(Medium::Enet) => &self.enet,
            Some(_) => &self.websocket,
            None => &self.soft,
        }
    }
}

impl Picture<'_> {
    /// Draws all of it, of which each pixel of the page is so many of the canvas.
    pub(super) fn draw(&self, context: &Context, density: f64) {
        // A matrix of numbers is always taken.
        let _ = context.set_transform(density, 0.0, 0.0, density, 0.0, 0.0);
        let (wide, high) = self.camera.size;
        context.clear_rect(0.0, 0.0, wide, high);
        context.set_line_cap("round");
        let around = self.focus.map(|id| self.scene.around(id));
        self.lines(context, around.is_some());
        self.dots(context, around.as_ref());
        if let Some(around) = &around {
            self.focus(context, around);
        }
        self.names(context, around.as_ref());
    }

    fn lines(&self, context: &Context, faint: bool) {
        let media = [
            Some(Medium::WebSocket),
            None,
            Some(Medium::Enet),
            Some(Medium::WebRtc),
        ];
        for medium in media {
            for step in 0..=THICKER.len() {
                let those = self.scene.lines.iter();
                let mut those = those
                    .filter(|line| line.medium == medium && thickness(line) == step)
                    .peekable();
                if those.peek().is_none() {
                    continue;
                }
                context.set_global_alpha(if faint {
                    0.12
                } else {
                    0.25 + 0.18 * step as f64
                });
                context.begin_path();
                those.for_each(|line| self.trace(context, line));
                self.stroke(context, medium, step);
            }
        }
        context.set_global_alpha(1.0);
    }

    /// The way of a line: straight to a relay, bent between others, so that the two can be told apart.
    fn trace(&self, context: &Context, line: &Line) {
        let [one, other] = [line.ends.0, line.ends.1].map(|end| self.scene.dots[end].at);
        let (from, to) = (self.camera.pixel(one), self.camera.pixel(other));
        context.move_to(from.0, from.1);
        if line.medium == Some(Medium::WebRtc) {
            let middle = self.camera.pixel(bend(one, other));
            context.quadratic_curve_to(middle.0, middle.1, to.0, to.1);
        } else {
            context.line_to(to.0, to.1);
        }
    }

    fn stroke(&self, context: &Context, medium: Option<Medium>, step: usize) {
        let dash: &[f64] = match medium {
            Some(Medium::Enet) => &[2.0, 4.0],
            Some(Medium::WebRtc) => &[7.0, 3.0],
            _ => &[],
        };
        let dash: js_sys::Array = dash.iter().copied().map(JsValue::from).collect();
        // Lengths are always taken.
        let _ = context.set_line_dash(&dash);
        context.set_stroke_style_str(self.palette.of(medium));
        context.set_line_width(1.0 + step as f64);
        context.stroke();
        let _ = context.set_line_dash(&js_sys::Array::new());
    }

    fn dots(&self, context: &Context, around: Option<&BTreeSet<usize>>) {
        for (place, dot) in self.scene.dots.iter().enumerate() {
            let is_far = around.is_some_and(|around| !around.contains(&place));
            context.set_global_alpha(if is_far { 0.3 } else { 1.0 });
            self.dot(context, dot);
        }
        context.set_global_alpha(1.0);
    }

    /// A relay is a square, a tab a disc, a native node a ring, and what ENet speaks for a triangle.
    fn dot(&self, context: &Context, dot: &Dot) {
        let (x, y) = self.camera.pixel(dot.at);
        let radius = self.radius(dot);
        context.begin_path();
        match dot.kind {
            Kind::Relay => context.rect(x - radius, y - radius, 2.0 * radius, 2.0 * radius),
            Kind::Enet => {
                context.move_to(x, y - radius * 1.1);
                context.line_to(x + radius, y + radius * 0.8);
                context.line_to(x - radius, y + radius * 0.8);
                context.close_path();
            }
            // Only a radius below zero is refused.
            _ => drop(context.arc(x, y, radius, 0.0, TAU)),
        }
        let own = Some(dot.id) == self.own;
        let colour = if own {
            &self.palette.accent
        } else {
            &self.palette.ink
        };
        let is_hollow = !own && !matches!(dot.kind, Kind::Relay | Kind::Browser);
        context.set_fill_style_str(if is_hollow {
            &self.palette.ground
        } else {
            colour
        });
        context.fill();
        context.set_stroke_style_str(if is_hollow {
            colour
        } else {
            &self.palette.ground
        });
        context.set_line_width(1.5);
        context.stroke();
    }

    fn radius(&self, dot: &Dot) -> f64 {
        let size = if dot.kind == Kind::Relay { 11.0 } else { 7.0 };
        (size * self.camera.scale.sqrt()).clamp(2.5, 16.0)
    }

    /// The node with the focus: its lines, and how long each way is.
    fn focus(&self, context: &Context, around: &BTreeSet<usize>) {
        let Some(focus) = self.focus.and_then(|id| self.scene.dot(id)) else {
            return;
        };
        let mine = |line: &&Line| {
            let ends = [line.ends.0, line.ends.1].map(|end| self.scene.dots[end].id);
            ends.contains(&focus.id)
        };
        let mine: Vec<_> = self.scene.lines.iter().filter(mine).collect();
        for line in &mine {
            context.begin_path();
            self.trace(context, line);
            self.stroke(context, line.medium, thickness(line).max(1));
        }
        let near = around
            .iter()
            .filter_map(|place| self.scene.dots.get(*place));
        near.for_each(|dot| self.dot(context, dot));
        context.set_font("11px system-ui, sans-serif");
        context.set_text_align("center");
        if mine.len() <= TOLD_MAX {
            for line in mine {
                let [one, other] = [line.ends.0, line.ends.1].map(|end| self.scene.dots[end].at);
                let at = match line.medium {
                    Some(Medium::WebRtc) => between(bend(one, other), between(one, other)),
                    _ => between(one, other),
                };
                if let Some(rtt) = line.rtt {
                    self.write(
                        context,
                        &millis(rtt),
                        self.camera.pixel(at),
                        self.palette.of(line.medium),
                    );
                }
            }
        }
        let ((x, y), radius) = (self.camera.pixel(focus.at), self.radius(focus) + 4.0);
        context.begin_path();
        // Only a radius below zero is refused.
        let _ = context.arc(x, y, radius, 0.0, TAU);
        context.set_stroke_style_str(&self.palette.accent);
        context.set_line_width(2.5);
        context.stroke();
    }

    fn names(&self, context: &Context, around: Option<&BTreeSet<usize>>) {
        let spacing = SPACING * self.camera.scale;
        let all = self.scene.dots.len() <= NAMED_MAX || spacing >= NAMED_SPACING;
        let told = around.filter(|around| around.len() <= TOLD_MAX);
        context.set_font("12px system-ui, sans-serif");
        for (place, dot) in self.scene.dots.iter().enumerate() {
            let is_near = told.is_some_and(|told| told.contains(&place));
            let is_one = Some(dot.id) == self.focus || Some(dot.id) == self.own;
            if !(is_near || is_one || dot.kind == Kind::Relay || (all && around.is_none())) {
                continue;
            }
            let (x, y) = self.camera.pixel(dot.at);
            let beyond = self.radius(dot) + 5.0;
            let ((x, y), align) = match dot.at.0 {
                _ if dot.kind == Kind::Relay => ((x, y + beyond + 9.0), "center"),
                right if right > 1.0 => ((x + beyond, y), "left"),
                left if left < -1.0 => ((x - beyond, y), "right"),
                _ => ((x, y + beyond + 9.0), "center"),
            };
            context.set_text_align(align);
            let colour = if is_one {
                &self.palette.accent
            } else {
                &self.palette.ink
            };
            self.write(context, &dot.name, (x, y), colour);
        }
    }

    /// Writes a text that can be read whatever is behind it.
    fn write(&self, context: &Context, text: &str, (x, y): (f64, f64), colour: &str) {
        context.set_text_baseline("middle");
        context.set_line_join("round");
        context.set_line_width(3.5);
        context.set_stroke_style_str(&self.palette.ground);
        // A text at a place is always taken.
        let _ = context.stroke_text(text, x, y);
        context.set_fill_style_str(colour);
        let _ = context.fill_text(text, x, y);
    }
}

/// How many steps thicker than the thinnest a line is, by its traffic.
fn thickness(line: &Line) -> usize {
    THICKER.iter().filter(|step| line.rate >= **step).count()
}

fn between(one: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    ((one.0 + other.0) / 2.0, (one.1 + other.1) / 2.0)
}

/// Where a line between two nodes bends to: towards the middle of the map, or aside if it goes through that.
fn bend(one: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    let (x, y) = between(one, other);
    let (along_x, along_y) = (other.0 - one.0, other.1 - one.1);
    let far = x.hypot(y);
    if far > SPACING {
        return (x * 0.62, y * 0.62);
    }
    (x - along_y * 0.18, y + along_x * 0.18)
}
