//! A tab at the far end of a chain of relays, and what it sees when one in the middle goes.

use peerage::Code;
use peerage_tests::{Browsers, Relay, join};
use serde_json::json;

#[tokio::test]
async fn a_tab_at_the_end_of_a_chain_is_a_member_and_survives_the_middle() {
    let browsers = Browsers::start().await;
    let primary = Relay::start("127.0.0.1:0");
    let mut middle = Relay::below(&[&primary], "middle").await;
    let last = Relay::below(&[&middle, &primary], "last").await;
    let far = browsers.open(&last.console("far")).await;
    let tab = browsers.open(&primary.console("near")).await;
    let native = join(&primary, "native").await;

    let three = json!({ "status": 0, "output": "3" });
    for target in ["relay", "middle", "last", "native", "near"] {
        assert_eq!(far.run(&format!("calc 1+2 @{target}")).await, three);
    }
    let ran = native.run("calc 1+2 @far").await.unwrap();
    assert_eq!(ran.output, "3");
    // All clocks here are one, so nobody's is further off than it may be, and the zone's time is that of this machine.
    let time = far
        .wait_for("peerage.zoneTime().then(arguments[0])", vec![])
        .await;
    let [ahead, error] = ["aheadMs", "errorMs"].map(|key| time[key].as_f64().unwrap());
    assert!(error > 0.0 && ahead.abs() <= error, "{time}");
    let told = native.clock().ahead_of("far").await.unwrap();
    assert!(told.ms.abs() <= told.error_ms, "{told:?}");
    let own = native.clock().ahead().await.unwrap();
    let [before, zone, after] = [
        native.clock().now(),
        native.clock().zone_now().await.unwrap(),
        native.clock().now(),
    ];
    let within = before - own.error_ms..=after + own.error_ms;
    assert!(within.contains(&zone), "{zone} not in {within:?}");
    // Signalling goes all the way as well: the two tabs find each other.
    far.until_path("near", "direct").await;
    assert_eq!(tab.run("calc 1+2 @far").await, three);

    far.ask(
        "window.got = [];
        window.counting = (async () => {
            for (let n = 0; n < 100; n++) {
                const { output } = await peerage.run(`echo ${n} @native`);
                got.push(+output);
                await new Promise(r => setTimeout(r, 20));
            }
        })().catch(e => got.push(e.code)); return 0",
    )
    .await;
    far.until("return got.length >= 20").await;
    middle.kill();
    far.until("return got.length >= 100").await;
    let numbers: Vec<_> = (0..100).collect();
    assert_eq!(far.ask("return got").await, json!(numbers));
    assert_eq!(far.run("calc 1+2 @relay").await, three);
}

#[tokio::test]
async fn a_tab_whose_only_way_is_cut_gets_errors_and_never_silence() {
    let browsers = Browsers::start().await;
    let primary = Relay::start("127.0.0.1:0");
    let mut middle = Relay::below(&[&primary], "middle").await;
    let last = Relay::below(&[&middle], "last").await;
    let far = browsers.open(&last.console("far")).await;
    let native = join(&primary, "native").await;
    let under_way = tokio::spawn(async move { native.run("sleep 60 @far").await });
    assert_eq!(far.run("calc 1+2 @native").await["output"], "3");
    middle.kill();
    // What begins now fails within seconds, by name; the relay that is left still works.
    let failed = far.run("calc 1+2 @native").await;
    let codes = ["unreachable", "timed-out", "gone", "unknown-name"];
    let code = failed["code"].as_str().unwrap_or_default();
    assert!(codes.contains(&code), "{failed}");
    assert_eq!(far.run("calc 1+2 @last").await["output"], "3");
    let ended = under_way.await.unwrap().unwrap_err();
    assert!(
        matches!(ended.code, Code::Gone | Code::Unreachable),
        "{ended}"
    );
}
