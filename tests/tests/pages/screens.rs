//! Two screens, each in a browser of its own.

use std::time::Duration;

use fantoccini::key::Key;
use peerage_tests::{Browsers, LOOK_EVERY, LOOKS_MAX, Mouse, Relay, Tab, until};
use serde_json::{Value, json};

/// What a user sees on a screen: the cards of which it is the owner, and those that another drags in.
const OWN: &str = "const own = document.body.dataset.side;
    const cards = [...document.querySelectorAll('.card')].filter(c => !c.hidden && c.dataset.owner === own);
    return cards.map(c => c.dataset.card)";
const CARDS: [&str; 6] = ["espresso", "ice", "lemon", "mint", "tea", "water"];

async fn open(browsers: &Browsers, relay: &Relay, name: &str) -> Tab {
    let tab = browsers
        .open(&relay.page(&format!("two-screens/?name={name}")))
        .await;
    tab.resize(900, 640, "light").await;
    tab
}

async fn two_screens(browsers: &Browsers, relay: &Relay) -> (Tab, Tab) {
    let (left, right) = (
        open(browsers, relay, "left").await,
        open(browsers, relay, "right").await,
    );
    for tab in [&left, &right] {
        tab.until("return document.body.dataset.connection === 'direct'")
            .await;
    }
    (left, right)
}

fn sorted(lists: &[&Value]) -> Vec<String> {
    let items = lists.iter().flat_map(|list| list.as_array().unwrap());
    let mut items: Vec<_> = items
        .map(|item| item.as_str().unwrap().to_owned())
        .collect();
    items.sort();
    items
}

/// Waits until each card has one owner, and is on that screen.
async fn until_each_once(left: &Tab, right: &Tab) -> (Value, Value) {
    let mut seen = (Value::Null, Value::Null);
    until("each card is on one screen", async || {
        seen = (left.ask(OWN).await, right.ask(OWN).await);
        sorted(&[&seen.0, &seen.1]) == CARDS
    })
    .await;
    seen
}

async fn until_own(tab: &Tab, card: &str) {
    until(&format!("{card} is here"), async || {
        let own = tab.ask(OWN).await;
        own.as_array().unwrap().contains(&json!(card))
    })
    .await;
}

/// Takes a card by its left end.
async fn take(tab: &Tab, card: &str) -> (f64, f64) {
    let place = format!(
        "const r = document.querySelector('[data-card={card}]').getBoundingClientRect(); return [r.left + 12, r.top + 48]"
    );
    let place = tab.ask(&place).await;
    let at = |n: usize| place[n].as_f64().unwrap();
    tab.mouse(Mouse::Move, (at(0), at(1))).await;
    tab.mouse(Mouse::Down, (at(0), at(1))).await;
    (at(0), at(1))
}

async fn drag(tab: &Tab, path: impl IntoIterator<Item = (f64, f64)>) {
    for place in path {
        tab.mouse(Mouse::Drag, place).await;
    }
}

/// Where a card is that another screen drags in: how far its left side is, if it is seen.
fn seen(card: &str) -> String {
    format!(
        "const c = document.querySelector('[data-card={card}]');
        return c.hidden || !c.classList.contains('moving') ? null : new DOMMatrix(getComputedStyle(c).transform).m41"
    )
}

async fn until_seen(tab: &Tab, card: &str, left: f64) {
    let mut last = Value::Null;
    for _ in 0..LOOKS_MAX {
        last = tab.ask(&seen(card)).await;
        if last.as_f64() == Some(left) {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("{card} is seen at {last}, not at {left}");
}

/// What the page says of the round trips of its updates, once it has counted them all.
async fn latency(tab: &Tab) -> Value {
    tab.until("return !!window.latency").await;
    // It counts anew four times a second.
    tokio::time::sleep(Duration::from_millis(600)).await;
    tab.ask("return latency").await
}

#[tokio::test]
async fn a_card_that_is_dragged_over_the_edge_appears_there_while_it_is_dragged() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_screens(&browsers, &relay).await;
    until_each_once(&left, &right).await;
    let (x, y) = take(&left, "tea").await;
    let steps = 60;
    let path = (0..=steps).map(|n| {
        let share = f64::from(n) / f64::from(steps);
        (x + (896.0 - x) * share, y - 40.0 * share)
    });
    drag(&left, path).await;
    // In part on the left and in part on the right, and still the left one's.
    until_seen(&right, "tea", -14.0).await;
    let own = left.ask(OWN).await;
    assert!(own.as_array().unwrap().contains(&json!("tea")), "{own}");
    // What another one drags, nobody takes.
    let (theirs, y) = take(&right, "tea").await;
    drag(&right, [(theirs + 200.0, 300.0)]).await;
    right.mouse(Mouse::Up, (theirs + 200.0, 300.0)).await;
    drag(&left, [(896.0, 300.0), (892.0, y)]).await;
    until_seen(&right, "tea", -18.0).await;
    left.mouse(Mouse::Up, (892.0, y)).await;
    until_own(&right, "tea").await;
    let (on_left, on_right) = until_each_once(&left, &right).await;
    assert!(!on_left.as_array().unwrap().contains(&json!("tea")));
    assert!(on_right.as_array().unwrap().contains(&json!("tea")));
    let direct = latency(&left).await;
    println!("two screens: {direct} ms there and back");
    assert!(direct["count"].as_u64().unwrap() > 20);

    // And back, by the keyboard.
    let focus = "document.querySelector('[data-card=tea]').focus(); return 0";
    right.ask(focus).await;
    let arrow = Key::Left + "";
    right.press(&[&arrow, &arrow]).await;
    until_own(&left, "tea").await;
    until_each_once(&left, &right).await;
    let say = "return document.querySelector('[data-testid=told]').textContent";
    assert_eq!(right.ask(say).await, "Green tea is on the left screen.");
}

#[tokio::test]
async fn navigation_and_state_are_one_on_both_screens() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_screens(&browsers, &relay).await;
    let click = |what: &str| format!("document.querySelector('{what}').click(); return 0");
    left.ask(&click("[data-view=count]")).await;
    right
        .until("return !document.querySelector('.count').hidden && document.querySelector('.board').hidden")
        .await;
    // Both at once, and often: none is lost.
    let press =
        "for (let n = 0; n < 50; n++) document.querySelector('[data-step]').click(); return 0";
    tokio::join!(left.ask(press), right.ask(press), left.ask(press));
    right
        .ask("document.querySelector('[data-step]').click(); return 0")
        .await;
    for tab in [&left, &right] {
        tab.until("return document.querySelector('[data-testid=count]').textContent === '-49'")
            .await;
    }
    right.ask(&click("[data-view=colour]")).await;
    right.ask(&click("[data-colour=Rose]")).await;
    for tab in [&left, &right] {
        tab.until("return document.body.dataset.colour === 'Rose' && !document.querySelector('.colours').hidden")
            .await;
    }
    // Two choices at once come to the same on both.
    tokio::join!(
        left.ask("document.querySelector('.colours [data-colour=Green]').click(); return 0"),
        right.ask("document.querySelector('.colours [data-colour=Amber]').click(); return 0")
    );
    until("both have the same colour", async || {
        let colour = "return document.body.dataset.colour";
        let (one, other) = (left.ask(colour).await, right.ask(colour).await);
        one == other && one != "Rose"
    })
    .await;
}

#[tokio::test]
async fn the_relay_is_stopped_in_the_middle_of_a_drag_and_the_drag_goes_on() {
    let (browsers, mut relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_screens(&browsers, &relay).await;
    let (x, y) = take(&left, "tea").await;
    drag(&left, (0..20).map(|n| (x + f64::from(n) * 10.0, y))).await;
    drag(&left, [(850.0, y)]).await;
    until_seen(&right, "tea", -60.0).await;
    relay.kill();
    drag(&left, [(860.0, y)]).await;
    until_seen(&right, "tea", -50.0).await;
    for tab in [&left, &right] {
        tab.until("return peerage.state === 'offline'").await;
        let shown = "return document.querySelector('[data-testid=relay]').textContent === 'The relay is away.'
            && document.body.dataset.connection === 'direct'";
        tab.until(shown).await;
    }
    let before = latency(&left).await;
    let path = (0..200).map(|n| (860.0 + f64::from(n % 30), y + f64::from(n)));
    drag(&left, path).await;
    drag(&left, [(890.0, y)]).await;
    until_seen(&right, "tea", -20.0).await;
    left.mouse(Mouse::Up, (890.0, y)).await;
    until_own(&right, "tea").await;
    until_each_once(&left, &right).await;
    let after = latency(&left).await;
    println!("two screens: {before} ms there and back, and {after} with the relay stopped");
    let count = |latency: &Value| latency["count"].as_u64().unwrap();
    assert!(count(&after) > count(&before) + 20, "{before} {after}");
    right
        .ask("document.querySelector('[data-view=colour]').click(); return 0")
        .await;
    left.until("return document.querySelector('.board').hidden")
        .await;

    let address = relay.address.clone();
    let _relay = Relay::start(&address);
    for tab in [&left, &right] {
        tab.until_online().await;
        tab.until("return document.body.dataset.connection === 'direct'")
            .await;
    }
    until_each_once(&left, &right).await;
}

#[tokio::test]
async fn cards_come_back_from_a_screen_that_goes_and_return_to_one_that_is_reloaded() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_screens(&browsers, &relay).await;
    let (x, y) = take(&right, "mint").await;
    drag(&right, [(x - 40.0, y), (x - 60.0, y + 10.0)]).await;
    // Reloaded in the middle of a drag: its cards are on the left, and then its own again.
    right.client.refresh().await.unwrap();
    right.until_online().await;
    for tab in [&left, &right] {
        tab.until("return document.body.dataset.connection === 'direct'")
            .await;
    }
    right.mouse(Mouse::Up, (x, y)).await;
    let (_, on_right) = until_each_once(&left, &right).await;
    assert_eq!(sorted(&[&on_right]), ["ice", "lemon", "mint"]);

    take(&right, "mint").await;
    right.client.clone().close().await.unwrap();
    left.until("return document.body.dataset.connection === 'alone'")
        .await;
    until("all cards are on the left", async || {
        sorted(&[&left.ask(OWN).await]) == CARDS
    })
    .await;
    // One that is moved meanwhile is the left one's from then on.
    let (x, y) = take(&left, "mint").await;
    drag(&left, [(x - 100.0, y)]).await;
    left.mouse(Mouse::Up, (x - 100.0, y)).await;
    let right = open(&browsers, &relay, "right").await;
    let (_, on_right) = until_each_once(&left, &right).await;
    until("two are given back", async || {
        sorted(&[&right.ask(OWN).await]) == ["ice", "lemon"]
    })
    .await;
    drop(on_right);
    // There is one left screen.
    let other = Browsers::start().await;
    let third = other.open(&relay.console("third")).await;
    third
        .client
        .goto(&relay.page("two-screens/?name=left"))
        .await
        .unwrap();
    third
        .until("return document.querySelector('.problem').textContent.startsWith('There is a left screen already.')")
        .await;
}

/// Pushes cards to and fro, as fast as a page can, so often.
const PUSH: &str = "
    window.pushed = 0;
    const own = document.body.dataset.side;
    const timer = setInterval(() => {
        const cards = [...document.querySelectorAll('.card')].filter(c => !c.hidden && c.dataset.owner === own);
        const card = cards[Math.floor(Math.random() * cards.length)];
        const key = Math.random() < 0.8 ? (own === 'left' ? 'ArrowRight' : 'ArrowLeft') : 'ArrowDown';
        card?.dispatchEvent(new KeyboardEvent('keydown', { key, shiftKey: true, bubbles: true, cancelable: true }));
        if (++pushed === 600) clearInterval(timer);
    }, 3);
    return 0";

#[tokio::test]
async fn cards_that_are_pushed_to_and_fro_are_never_lost_nor_doubled() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_screens(&browsers, &relay).await;
    left.ask(PUSH).await;
    right.ask(PUSH).await;
    right.until("return pushed > 200").await;
    right.client.refresh().await.unwrap();
    right.until_online().await;
    right.ask(PUSH).await;
    for tab in [&left, &right] {
        tab.until("return pushed === 600").await;
        tab.until("return document.body.dataset.connection === 'direct'")
            .await;
    }
    until_each_once(&left, &right).await;
}
