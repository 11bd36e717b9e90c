//! The map: who is linked to whom and by what. A canvas for the eye, which the keyboard walks as well, and beside it
//! the same nodes as a list.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

mod camera;
mod draw;
mod layout;
mod peers;
mod scene;

use leptos::html;
use leptos::prelude::*;
use peerage::NodeId;
use wasm_bindgen::JsCast;
use web_sys::{
    CanvasRenderingContext2d as Context, HtmlCanvasElement, KeyboardEvent, PointerEvent, WheelEvent,
};

use crate::route::{View, go};
use crate::shown::Shown;
use crate::units::{millis, rate};
use crate::zone::name_in;
use camera::Camera;
use draw::{Palette, Picture};
use peers::Peers;
use scene::Scene;

/// How near to a node one must point, in pixels.
const NEAR: f64 = 14.0;
/// Pixels that a pointer may stray while it is pressed, and still mean what is under it.
const STRAY: f64 = 4.0;
/// How much a key or a button zooms.
const ZOOM: f64 = 1.3;

#[component]
pub(crate) fn Map(shown: Shown) -> impl IntoView {
    let chart = Chart::new(shown);
    Effect::new(move |_| chart.take());
    let resized = window_event_listener(leptos::ev::resize, move |_| chart.draw_soon(true));
    on_cleanup(move || resized.remove());
    view! {
        <div class="chart">
            <canvas
                node_ref=chart.canvas
                tabindex="0"
                role="application"
                aria-label=move || format!("Map of {} nodes. Arrows walk, Enter opens, plus and minus zoom, 0 shows all", shown.zone.nodes.with(|nodes| nodes.len()))
                data-testid="map"
                on:keydown=move |event| chart.key(&event)
                on:wheel=move |event| chart.wheel(&event)
                on:pointerdown=move |event| chart.press(&event)
                on:pointermove=move |event| chart.point(&event)
                on:pointerup=move |event| chart.release(&event)
                on:pointerleave=move |_| chart.focus(None)
                on:blur=move |_| chart.focus(None)
            />
            <Legend />
            <div class="zoom">
                <button aria-label="Zoom in" on:click=move |_| chart.zoom(ZOOM)>"+"</button>
                <button aria-label="Zoom out" on:click=move |_| chart.zoom(1.0 / ZOOM)>"−"</button>
                <button aria-label="Show all" on:click=move |_| chart.fit()>"⤢"</button>
            </div>
            <p class="told" role="status" data-testid="map-focus">{move || chart.words()}</p>
        </div>
        <Peers shown />
    }
}

/// What lines and marks mean; the map takes its colours from here.
#[component]
fn Legend() -> impl IntoView {
    let colours = [
        "ground",
        "ink",
        "soft",
        "accent",
        "websocket",
        "webrtc",
        "enet",
    ];
    view! {
        <div class="palette" aria-hidden="true">{colours.map(|name| view! { <i class=name></i> })}</div>
        <ul class="legend" aria-label="What lines and marks mean">
            <li class="websocket"><svg viewBox="0 0 22 8" aria-hidden="true"><path d="M0 4h22" /></svg>"WebSocket"</li>
            <li class="webrtc"><svg viewBox="0 0 22 8" aria-hidden="true"><path d="M0 4h22" stroke-dasharray="7 3" /></svg>"WebRTC"</li>
            <li class="enet"><svg viewBox="0 0 22 8" aria-hidden="true"><path d="M0 4h22" stroke-dasharray="2 4" /></svg>"ENet"</li>
            <li class="mark"><svg viewBox="0 0 10 10" aria-hidden="true"><rect x="1" y="1" width="8" height="8" /></svg>"relay"</li>
            <li class="mark"><svg viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="4" /></svg>"tab"</li>
            <li class="mark hollow"><svg viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="3.5" /></svg>"native"</li>
        </ul>
    }
}

/// The map as it stands.
#[derive(Clone, Copy)]
struct Chart {
    shown: Shown,
    canvas: NodeRef<html::Canvas>,
    /// Who is pointed at, or whom the keyboard has come to.
    focused: RwSignal<Option<NodeId>>,
    state: StoredValue<State, LocalStorage>,
}

struct State {
    scene: Scene,
    camera: Camera,
    /// Whether the user has chosen what is seen.
    is_chosen: bool,
    /// Where a pointer went down, and where it was last.
    pressed: Option<Drag>,
    is_due: bool,
}

#[derive(Clone, Copy)]
struct Drag {
    begin: (f64, f64),
    last: (f64, f64),
}

impl Chart {
    fn new(shown: Shown) -> Self {
        let state = State {
            scene: Scene::default(),
            camera: Camera::new(),
            is_chosen: false,
            pressed: None,
            is_due: false,
        };
        Self {
            shown,
            canvas: NodeRef::new(),
            focused: RwSignal::default(),
            state: StoredValue::new_local(state),
        }
    }

    /// Takes what is known of the zone now.
    fn take(self) {
        let zone = self.shown.zone;
        self.canvas.track();
        self.focused.track();
        zone.nodes.with(|nodes| {
            zone.links.with(|links| {
                self.state.update_value(|state| {
                    state.scene.take(nodes, links);
                });
            });
        });
        self.draw_soon(false);
    }

    /// Draws before the browser shows the page the next time; once, however often it is asked for.
    fn draw_soon(self, is_resized: bool) {
        let was_due = self.state.try_update_value(|state| {
            state.is_chosen &= !is_resized;
            core::mem::replace(&mut state.is_due, true)
        });
        if was_due == Some(false) {
            request_animation_frame(move || self.draw());
        }
    }

    fn draw(self) {
        // The view may be shown no longer.
        let Some(Some(canvas)) = self.canvas.try_get_untracked() else {
            return;
        };
        let context = canvas.get_context("2d").ok().flatten();
        let Some(context) = context.and_then(|it| it.dyn_into::<Context>().ok()) else {
            return;
        };
        let density = window().device_pixel_ratio();
        let (own, focus) = (
            self.shown.zone.own.get_untracked(),
            self.focused.get_untracked(),
        );
        let palette = Palette::read();
        let moves = self.state.try_update_value(|state| {
            state.is_due = false;
            state.camera.size = fit_canvas(&canvas, density);
            if !state.is_chosen {
                state.camera.fit(state.scene.places());
            }
            let moves = state.scene.step(wants_calm());
            let picture = Picture {
                scene: &state.scene,
                camera: &state.camera,
                palette: &palette,
                own,
                focus,
            };
            picture.draw(&context, density);
            moves
        });
        if moves == Some(true) {
            self.draw_soon(false);
        }
    }

    /// Points to a node, or to none.
    fn focus(self, node: Option<NodeId>) {
        // A canvas that is taken away loses the focus after all else of it is gone.
        let before = self.focused.try_get_untracked();
        if before.is_some_and(|before| before != node) {
            self.focused.set(node);
        }
    }

    /// What there is to say of the node that is pointed at.
    fn words(self) -> String {
        let Some(id) = self.focused.get() else {
            return String::new();
        };
        self.shown.zone.nodes.with(|nodes| {
            let Some(known) = nodes.get(&id) else {
                return name_in(nodes, id);
            };
            let sums = self.shown.zone.sums.with(|sums| sums.get(&id).copied());
            let sums = sums.unwrap_or_default();
            let links = match sums.links {
                1 => String::from("1 link"),
                links => format!("{links} links"),
            };
            let rtt = known.rtt.map(millis).unwrap_or_default();
            let parts = [
                known.name.as_str(),
                known.kind.as_str(),
                known.path_word(),
                &rtt,
            ];
            let traffic = rate(sums.rate);
            let parts = parts.into_iter().chain([links.as_str(), traffic.as_str()]);
            let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
            parts.join(" · ")
        })
    }

    fn open(self, id: NodeId) {
        let nodes = self.shown.zone.nodes;
        let name = nodes.with_untracked(|nodes| name_in(nodes, id));
        go(&View::Nodes.address_of(&name));
    }

    /// Moves the camera as the user wants it, from now on.
    fn choose(self, change: impl FnOnce(&mut State)) {
        self.state.update_value(|state| {
            state.is_chosen = true;
            change(state);
        });
        self.draw_soon(false);
    }

    fn zoom(self, factor: f64) {
        self.choose(|state| {
            let (wide, high) = state.camera.size;
            state.camera.zoom(factor, (wide / 2.0, high / 2.0));
        });
    }

    fn fit(self) {
        self.state.update_value(|state| state.is_chosen = false);
        self.draw_soon(false);
    }

    fn key(self, event: &KeyboardEvent) {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        match event.key().as_str() {
            "ArrowLeft" => self.walk((-1.0, 0.0)),
            "ArrowRight" => self.walk((1.0, 0.0)),
            "ArrowUp" => self.walk((0.0, -1.0)),
            "ArrowDown" => self.walk((0.0, 1.0)),
            "+" | "=" => self.zoom(ZOOM),
            "-" => self.zoom(1.0 / ZOOM),
            "0" => self.fit(),
            "Escape" => self.focus(None),
            "Enter" => match self.focused.get_untracked() {
                Some(id) => self.open(id),
                None => return,
            },
            _ => return,
        }
        event.prevent_default();
    }

    /// Goes on in a direction, or begins at this node itself.
    fn walk(self, direction: (f64, f64)) {
        let from = self.focused.get_untracked();
        let to = match from {
            None => self.shown.zone.own.get_untracked(),
            Some(from) => self
                .state
                .with_value(|state| state.scene.beside(from, direction)),
        };
        let Some(to) = to else { return };
        self.focus(Some(to));
        self.state.update_value(|state| {
            let at = state.scene.dot(to).map(|dot| dot.at);
            if let Some(at) = at.filter(|_| state.is_chosen) {
                state.camera.reveal(at);
            }
        });
        self.draw_soon(false);
    }

    fn wheel(self, event: &WheelEvent) {
        event.prevent_default();
        let factor = (-event.delta_y() * 0.0015).exp();
        let at = (f64::from(event.offset_x()), f64::from(event.offset_y()));
        self.choose(|state| state.camera.zoom(factor, at));
    }

    fn press(self, event: &PointerEvent) {
        let at = (f64::from(event.offset_x()), f64::from(event.offset_y()));
        if let Some(canvas) = self.canvas.get_untracked() {
            // A pointer that has gone meanwhile cannot be held.
            let _ = canvas.set_pointer_capture(event.pointer_id());
        }
        let drag = Drag {
            begin: at,
            last: at,
        };
        self.state.update_value(|state| state.pressed = Some(drag));
    }

    fn point(self, event: &PointerEvent) {
        let at = (f64::from(event.offset_x()), f64::from(event.offset_y()));
        let Some(drag) = self.state.with_value(|state| state.pressed) else {
            return self.focus(self.under(at));
        };
        if away(drag.begin, at) > STRAY || drag.last != drag.begin {
            self.choose(|state| {
                state.camera.pan((at.0 - drag.last.0, at.1 - drag.last.1));
                state.pressed = Some(Drag { last: at, ..drag });
            });
        }
    }

    fn release(self, event: &PointerEvent) {
        let at = (f64::from(event.offset_x()), f64::from(event.offset_y()));
        let drag = self.state.try_update_value(|state| state.pressed.take());
        let is_click = drag.flatten().is_some_and(|drag| drag.last == drag.begin);
        if let Some(id) = self.under(at).filter(|_| is_click) {
            self.open(id);
        }
    }

    fn under(self, pixel: (f64, f64)) -> Option<NodeId> {
        self.state.with_value(|state| {
            let (camera, scene) = (&state.camera, &state.scene);
            scene.nearest(camera.place(pixel), NEAR / camera.scale)
        })
    }
}

fn away(one: (f64, f64), other: (f64, f64)) -> f64 {
    (one.0 - other.0).hypot(one.1 - other.1)
}

/// Makes the canvas as fine as the screen; its size in pixels of the page.
fn fit_canvas(canvas: &HtmlCanvasElement, density: f64) -> (f64, f64) {
    let size = (
        f64::from(canvas.client_width()),
        f64::from(canvas.client_height()),
    );
    let (wide, high) = ((size.0 * density) as u32, (size.1 * density) as u32);
    if (canvas.width(), canvas.height()) != (wide, high) {
        canvas.set_width(wide);
        canvas.set_height(high);
    }
    size
}

/// Whether the user wants nothing to move.
fn wants_calm() -> bool {
    let query = window().match_media("(prefers-reduced-motion: reduce)");
    query.ok().flatten().is_some_and(|query| query.matches())
}
