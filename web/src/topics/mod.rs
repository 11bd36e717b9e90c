//! Topics, live: what each holds now, and how often it changes; and a form to publish.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

mod feed;

use core::time::Duration;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::service::broker::Publish;
use web_sys::SubmitEvent;

use crate::route::{View, go};
use crate::rows::Scroll;
use crate::shown::{Services, Shown, while_shown};
use crate::tree::{in_line, show};
use crate::units::bytes;
use feed::{Feed, Topic};

/// The height of a row, in pixels.
const ROW: f64 = 30.0;
/// How often what has come is shown, and how often the broker is asked what it keeps.
const SHOW_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(5);

#[component]
pub(crate) fn TopicsView(shown: Shown) -> impl IntoView {
    let feed = Feed::new();
    let is_paused = RwSignal::new(false);
    let filter = RwSignal::new(String::new());
    Effect::new(move |_| {
        if let Some(services) = shown.services.get() {
            follow(feed, services, is_paused);
        }
    });
    let chosen = Memo::new(move |_| shown.route.with(|route| route.of.clone()));
    let names = Memo::new(move |_| {
        let wanted = filter.get().to_lowercase();
        feed.topics.with(|topics| {
            let names = topics.keys().filter(|name| {
                let name = name.to_lowercase();
                wanted.split_whitespace().all(|word| name.contains(word))
            });
            names.cloned().collect::<Vec<_>>()
        })
    });
    let scroll = Scroll::new(ROW);
    let len = move || names.with(Vec::len);
    let seen = move || names.with(|names| names[scroll.seen(names.len())].to_vec());
    let count = move || {
        let rate: f64 = feed
            .topics
            .with(|topics| topics.values().map(|topic| topic.rate).sum());
        format!("{} topics, {rate:.1} messages/s", len())
    };
    view! {
        <div class="tools">
            <input type="search" aria-label="Filter topics" placeholder="Filter by topic  /" data-testid="filter"
                prop:value=filter on:input=move |event| filter.set(event_target_value(&event)) />
            <button aria-pressed=move || is_paused.get().to_string() data-testid="pause" on:click=move |_| is_paused.update(|paused| *paused = !*paused)>"Pause"</button>
            <span class="soft" role="status" data-testid="count">{count}</span>
            {move || feed.why.get().map(|why| view! { <span class="bad" role="alert">{why}</span> })}
        </div>
        <div class="halves">
            <div class="scroll table" tabindex="0" role="group" aria-label="Topics" on:scroll=move |event| scroll.moved(&event)>
                <table aria-rowcount=move || len() + 1>
                    <thead><tr>
                        <th scope="col" class="topic">"Topic"</th><th scope="col" class="value">"Value"</th>
                        <th scope="col" class="number rate">"Rate"</th><th scope="col" class="number kept">"Kept"</th><th scope="col" class="at">"At"</th>
                    </tr></thead>
                    <tbody>
                        <tr class="room" style=move || scroll.above(len())></tr>
                        <For each=seen key=Clone::clone children=move |name| view! { <Row feed chosen name /> } />
                        <tr class="room" style=move || scroll.below(len())></tr>
                    </tbody>
                </table>
                <Show when=move || { len() == 0 }><p class="empty">"Nothing is retained, and nothing was published since this is open."</p></Show>
            </div>
            <section class="side" aria-label="The topic that is chosen">
                {move || chosen.get().map(|name| view! { <Chosen shown feed name /> })}
                <PublishForm shown chosen />
            </section>
        </div>
    }
}

/// Follows all topics for as long as they are shown.
fn follow(feed: Feed, services: Services, is_paused: RwSignal<bool>) {
    let (topics, node) = (services.topics.clone(), services.node.clone());
    while_shown(async move { feed.listen(topics, node).await });
    let node = services.node.clone();
    while_shown(async move {
        loop {
            node.sleep(SHOW_EVERY).await;
            if !is_paused.get_untracked() {
                feed.show();
            }
        }
    });
    while_shown(async move {
        loop {
            if let Ok(kept) = services.topics.topics("#", None).await {
                feed.keep(kept);
            }
            services.node.sleep(LOOK_EVERY).await;
        }
    });
}

#[component]
fn Row(feed: Feed, chosen: Memo<Option<String>>, name: Arc<str>) -> impl IntoView {
    let key = Arc::clone(&name);
    let topic = Memo::new(move |_| feed.topics.with(|topics| topics.get(&key).cloned()));
    let of = move |text: fn(&Topic) -> String| {
        topic.with(|topic| topic.as_ref().map(text).unwrap_or_default())
    };
    let value = move || {
        of(|topic| {
            topic
                .values
                .front()
                .map(|value| in_line(&value.tree))
                .unwrap_or_default()
        })
    };
    let rate = move || {
        of(|topic| {
            if topic.rate > 0.05 {
                format!("{:.1}/s", topic.rate)
            } else {
                String::new()
            }
        })
    };
    let kept = move || of(|topic| topic.kept.map(|kept| kept.to_string()).unwrap_or_default());
    let at = move || {
        of(|topic| {
            topic
                .values
                .front()
                .map(|value| value.time.clone())
                .unwrap_or_default()
        })
    };
    let is_retained =
        move || topic.with(|topic| topic.as_ref().is_some_and(|topic| topic.is_retained));
    let address = View::Topics.address_of(&name);
    let open = address.clone();
    let own = name.to_string();
    let is_chosen = move || chosen.with(|chosen| chosen.as_deref() == Some(own.as_str()));
    view! {
        <tr aria-selected=move || is_chosen().to_string() data-testid=format!("topic-{name}") on:click=move |_| go(&open)>
            <th scope="row" class="topic"><a href=address>{name.to_string()}</a> <Show when=is_retained><small class="tag">"retained"</small></Show></th>
            <td class="value"><code>{value}</code></td>
            <td class="number rate">{rate}</td>
            <td class="number kept">{kept}</td>
            <td class="at number">{at}</td>
        </tr>
    }
}

/// The topic that is chosen: its value, and what it was before.
#[component]
fn Chosen(shown: Shown, feed: Feed, name: String) -> impl IntoView {
    let key = Arc::<str>::from(name.as_str());
    let topic = Memo::new(move |_| feed.topics.with(|topics| topics.get(&key).cloned()));
    let value = move || {
        topic.with(|topic| {
            let values = topic.iter().flat_map(|topic| &topic.values);
            let entry = |value: &feed::Value| {
                let from = shown.zone.name(value.sender);
                view! {
                    <li>
                        <p class="soft"><time>{value.time.clone()}</time> " from " <a href=View::Nodes.address_of(&from)>{from.clone()}</a>
                            {format!(" · {} · offset {}", bytes(value.size as f64), value.offset)}</p>
                        <div class="tree">{show("", &value.tree)}</div>
                    </li>
                }
            };
            values.map(entry).collect_view()
        })
    };
    view! {
        <section aria-labelledby="topic">
            <h3 id="topic">{name}</h3>
            <ol class="values" data-testid="values" tabindex="0" aria-label="Values, the latest first">{value}</ol>
        </section>
    }
}

#[component]
fn PublishForm(shown: Shown, chosen: Memo<Option<String>>) -> impl IntoView {
    let topic = RwSignal::new(String::new());
    let value = RwSignal::new(String::new());
    let retain = RwSignal::new(false);
    let told = RwSignal::new(None::<Result<String, String>>);
    Effect::new(move |_| topic.set(chosen.get().unwrap_or_default()));
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(services) = shown.services.get_untracked() else {
            return;
        };
        let options = Publish {
            retain: retain.get_untracked(),
            ..Publish::default()
        };
        let (topic, text) = (topic.get_untracked(), value.get_untracked());
        let sent = match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(value) => services.topics.publish(&topic, &value, options),
            Err(_) => services.topics.publish(&topic, text.as_str(), options),
        };
        spawn_local(async move {
            let published = match sent {
                Ok(sent) => sent.await,
                Err(failure) => Err(failure),
            };
            let words = published
                .map(|published| {
                    published
                        .offset
                        .map_or_else(String::new, |at| format!("published, offset {at}"))
                })
                .map_err(|failure| failure.in_words());
            // The view may be shown no longer.
            let _ = told.try_set(Some(words));
        });
    };
    view! {
        <form class="publish" on:submit=submit aria-label="Publish">
            <h3>"Publish"</h3>
            <label>"Topic" <input type="text" required data-testid="publish-topic" autocomplete="off" spellcheck="false" placeholder="cups/left" prop:value=topic on:input=move |event| topic.set(event_target_value(&event)) /></label>
            <label>"Value" <textarea rows="3" data-testid="publish-value" spellcheck="false" placeholder="JSON, or a text" on:input=move |event| value.set(event_target_value(&event))></textarea></label>
            <label class="check"><input type="checkbox" data-testid="publish-retain" on:change=move |event| retain.set(event_target_checked(&event)) /> "retain"</label>
            <button type="submit" data-testid="publish">"Publish"</button>
            <p role="status" class="soft">
                {move || told.get().map(|told| match told {
                    Ok(words) => words.into_any(),
                    Err(why) => view! { <span class="bad">{why}</span> }.into_any(),
                })}
            </p>
        </form>
    }
}
