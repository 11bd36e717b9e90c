//! Tabs that may have fewer direct links than there are tabs.

use peerage_tests::{Browsers, Relay, Tab, serve};
use serde_json::{Value, json};

/// Tabs with at most one direct link each.
async fn tabs<const N: usize>(browsers: &Browsers, names: [&str; N]) -> (Relay, [Tab; N]) {
    let (site, listener) = serve::bind().await;
    let relay = Relay::configured(&json!({ "origins": [&site] }));
    let page = format!(
        "<!doctype html><script type=module>
        import init, {{ Node }} from './peerage.js';
        await init();
        const name = new URLSearchParams(location.search).get('name');
        window.peerage = await Node.join({{ relay: '{}', name, directLinks: 1 }});
        window.links = () => connections.filter(c => c.connectionState === 'connected').length;
        // Works on another tab until told otherwise, and counts what fails.
        window.failed = []; window.done = 0;
        window.work = async target => {{
            for (window.target = target; window.target === target;) {{
                try {{ await peerage.run(`echo x @${{target}}`); done++; }} catch (e) {{ failed.push(e.code); }}
                await new Promise(r => setTimeout(r, 100));
            }}
        }};
        </script>",
        relay.mesh()
    );
    serve::run(listener, &page);
    let mut tabs = Vec::new();
    for name in names {
        tabs.push(browsers.open(&format!("{site}/?name={name}")).await);
    }
    let Ok(tabs) = tabs.try_into() else {
        panic!("as many tabs as names")
    };
    (relay, tabs)
}

async fn path(tab: &Tab, name: &str) -> Value {
    tab.ask(&format!(
        "return peerage.peers().find(p => p.name === '{name}').path"
    ))
    .await
}

#[tokio::test]
async fn beyond_its_degree_a_tab_is_relayed_until_a_link_is_free() {
    let browsers = Browsers::start().await;
    let (_relay, [a, b, c]) = tabs(&browsers, ["a", "b", "c"]).await;
    a.ask("work('b'); return 0").await;
    a.until_path("b", "direct").await;

    // The link is in use, so there is none for the third, who works all the same.
    c.ask("work('a'); return 0").await;
    c.until("return done >= 20").await;
    assert_eq!(path(&c, "a").await, "relayed");
    assert_eq!(path(&a, "b").await, "direct");
    assert_eq!(a.ask("return links()").await, 1);

    // Nobody uses it any more: it makes way.
    a.ask("window.target = null; return 0").await;
    c.until_path("a", "direct").await;
    a.until_path("b", "relayed").await;
    b.until_path("a", "relayed").await;
    a.until("return links() === 1").await;
    b.until("return links() === 0").await;
    assert_eq!(a.run("calc 1+2 @b").await["output"], "3");
    for tab in [&a, &c] {
        assert_eq!(tab.ask("return failed").await, json!([]));
    }
}
