//! Futures: operations as clients follow them, and requests in order.

use super::*;

/// A node with an operation that ends as it is told, and one that pours until it is stopped.
async fn dispenser(relay: &Relay) -> (Node, Arc<Mutex<Vec<String>>>) {
    let node = join(relay, "dispenser").await;
    node.operation("end", |work| async move {
        let how: Value = work.args()?;
        work.progress(
            Progress::of(0.5)
                .note("half")
                .remaining(Duration::from_millis(700)),
        );
        match how["how"].as_str().unwrap_or_default() {
            "success" => Ok(json!({ "ml": 250 })),
            "fail" => Err(Unsuccessful::Fail {
                reason: "errNotPourable".into(),
                data: Parcel::of(&json!({ "tray": 2 }))?,
            }),
            "abort" => Err(Unsuccessful::Stopped(
                StopKind::Abort.because("the door is open"),
            )),
            _ => Err(Unsuccessful::Stopped(work.stopped().await)),
        }
    });
    // Start and stop take longer or shorter, so that only order keeps them in order.
    let log = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&log);
    let note = move |request: Request| {
        let log = Arc::clone(&noted);
        async move {
            let what = request.uri().path().to_owned();
            let jitter = what.bytes().map(u64::from).sum::<u64>() * 7919 % 5;
            tokio::time::sleep(Duration::from_millis(jitter)).await;
            log.lock().unwrap().push(what);
        }
    };
    node.serve(Router::new().route("/{*what}", post(note)));
    (node, log)
}

/// Starts an operation under a tracker of its own, and returns the future of its reply.
const START: &str = "window.start = async (how, tracker = crypto.randomUUID()) => {
        const r = await kos.fetch('/api/dispenser/end', { method: 'POST', body: JSON.stringify({ how }), tracker });
        return { tracker, status: r.status, future: JSON.parse(r.text) };
    };
    window.ended = async tracker => {
        for (;;) {
            const last = kos.futures.get(tracker)?.at(-1);
            if (last?.endState) return last;
            await new Promise(done => setTimeout(done, 20));
        }
    }; return 0";

#[tokio::test]
async fn a_future_is_tracked_to_each_of_its_ends() {
    let stage = Stage::start(json!({})).await;
    let (node, _) = dispenser(&stage.relay).await;
    stage.client("kos", "ui").await;
    stage.tab.ask(START).await;
    let end = async |how: &str| {
        let follow = format!(
            "const {{ tracker, status, future }} = await start('{how}'); const end = await ended(tracker);
            return [status, future.id === end.id && future.tracker === tracker, end.name, end.progress, end.endState, end.reason ?? null,
                end.reasonData ?? null, end.clientData ?? null, end.note]"
        );
        stage.given(&follow).await
    };
    assert_eq!(
        end("success").await,
        json!([200, true, "end", 100, "SUCCESS", null, null, { "ml": 250 }, "half"])
    );
    assert_eq!(
        end("fail").await,
        json!([200, true, "end", 50, "FAIL", "errNotPourable", { "tray": 2 }, null, "half"])
    );
    assert_eq!(
        end("abort").await,
        json!([
            200,
            true,
            "end",
            50,
            "ABORT",
            "the door is open",
            null,
            null,
            "half"
        ])
    );
    let cancelled = "const { tracker, future } = await start('wait');
        while (!kos.futures.get(tracker)?.some(f => f.progress === 50)) await new Promise(done => setTimeout(done, 20));
        const shown = JSON.parse((await kos.fetch(`/api/kos/future/${future.id}`)).text);
        const { status } = await kos.fetch(`/api/kos/future/${future.id}/cancel`, { method: 'POST', ordered: true });
        const end = await ended(tracker);
        return [shown.progress, shown.remainingTimeMs, shown.endState ?? null, status, end.endState]";
    assert_eq!(
        stage.given(cancelled).await,
        json!([50, 700, null, 200, "CANCEL"])
    );
    let traces = "const traces = JSON.parse((await kos.fetch('/api/kos/future/traces')).text);
        const events = JSON.parse((await kos.fetch(`/api/kos/future/traces/${traces.at(-1).id}/events`)).text);
        return [traces.map(t => t.endState), events.map(e => e.type)]";
    assert_eq!(
        stage.given(traces).await,
        json!([
            ["SUCCESS", "FAIL", "ABORT", "CANCEL"],
            ["START", "CANCEL", "DONE"]
        ])
    );
    // What does not exist is told so, and what is no operation goes by HTTP.
    let others = "const tracker = crypto.randomUUID();
        return [(await kos.fetch('/api/kos/future/999')).status, (await kos.fetch('/api/nobody/end', { tracker })).status,
            (await kos.fetch('/api/dispenser/noted', { method: 'POST', tracker })).status]";
    assert_eq!(stage.given(others).await, json!([404, 404, 200]));
    node.close().await;
}

#[tokio::test]
async fn who_comes_back_finds_its_future_by_the_tracker_and_others_cannot_stop_it() {
    let stage = Stage::start(json!({})).await;
    let (node, _) = dispenser(&stage.relay).await;
    stage.client("kos", "ui").await;
    stage.tab.ask(START).await;
    let begun = "window.mine = await start('wait'); return mine.status";
    assert_eq!(stage.given(begun).await, json!(200));
    stage.client("other", "other").await;
    let others = "return [(await other.fetch(`/api/kos/future/${mine.future.id}/cancel`, { method: 'POST' })).status,
        JSON.parse((await other.fetch(`/api/kos/future/${mine.future.id}`)).text).tracker ?? null]";
    assert_eq!(stage.given(others).await, json!([403, null]));

    // The page is loaded again: its socket is gone, and another comes with its alias.
    stage.tab.ask("kos.socket.close(); return 0").await;
    stage.relay.until_here("ui", false).await;
    stage.client("kos", "ui").await;
    let back = "const again = await start('wait', mine.tracker);
        await kos.fetch(`/api/kos/future/${again.future.id}/cancel`, { method: 'POST', ordered: true });
        const end = await ended(mine.tracker);
        return [again.future.id === mine.future.id, end.endState]";
    assert_eq!(stage.given(back).await, json!([true, "CANCEL"]));
    node.close().await;
}

#[tokio::test]
async fn ordered_requests_are_done_in_the_order_in_which_they_were_sent() {
    let stage = Stage::start(json!({})).await;
    let (node, log) = dispenser(&stage.relay).await;
    stage.client("kos", "ui").await;
    let all = "const to = 'local:relay:dispenser', done = [];
        for (let n = 0; n < 50; n++) for (const what of ['start', 'stop'])
            done.push(kos.fetch(`/${what}/${n}`, { method: 'POST', to, ordered: true }));
        return (await Promise.all(done)).every(({ status }) => status === 200)";
    assert_eq!(stage.given(all).await, json!(true));
    let expected = (0..50).flat_map(|n| [format!("/start/{n}"), format!("/stop/{n}")]);
    assert_eq!(*log.lock().unwrap(), expected.collect::<Vec<_>>());
    node.close().await;
}
