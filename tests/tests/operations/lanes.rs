//! Lanes as a page names them: for calls, commands and operations alike.

use super::*;

/// An agent's method, a command and an operation, each of which notes when it begins and when it ends.
const NOTING: &str = "
    window.log = [];
    const note = async what => {
        log.push('+' + what);
        await new Promise(done => setTimeout(done, Math.random() * 8));
        log.push('-' + what);
    };
    peerage.agent('Noting', { note });
    peerage.command('note', async ([what]) => { await note(what) });
    peerage.operation('note', note);
    peerage.operation('accepting', async (what, op) => {
        log.push('+' + what);
        op.accept();
        await new Promise(done => window.release = done);
        log.push('-' + what);
    });
    return 0";

#[tokio::test]
async fn calls_commands_and_operations_of_one_lane_begin_one_after_another() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    right.ask(NOTING).await;
    let mixed = "const lane = 'valve-1', noting = peerage.proxy('right', 'Noting').with({ lane }), done = [];
        for (let n = 0; n < 300; n += 3) {
            done.push(peerage.start('right', 'note', String(n), { lane }).result);
            done.push(noting.note(String(n + 1)));
            done.push(peerage.run(`note ${n + 2} @right`, { lane }));
        }
        await Promise.all(done); return done.length";
    assert_eq!(given(&left, mixed).await, 300);
    let order = "const expected = Array.from({ length: 300 }, (_, n) => ['+' + n, '-' + n]).flat();
        return log.findIndex((entry, n) => entry !== expected[n]) + ' of ' + log.length";
    assert_eq!(right.ask(order).await, "-1 of 600");
}

#[tokio::test]
async fn lanes_do_not_wait_for_one_another_nor_for_what_was_accepted() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    right.ask(NOTING).await;
    right.ask(GUIDED).await;
    // One that goes on keeps its lane to itself, and no other.
    let held = "window.holds = peerage.start('right', 'guided', 0, { lane: 'a' });
        window.next = peerage.start('right', 'note', 'next', { lane: 'a' });
        await peerage.start('right', 'note', 'b', { lane: 'b' }).result;
        await peerage.start('right', 'note', 'free').result;
        await peerage.proxy('right', 'Noting').note('call');
        const states = (await peerage.operations('right')).map(op => [op.name, op.state]);
        return states.slice(-2)";
    assert_eq!(
        given(&left, held).await,
        json!([["note", "waiting"], ["guided", "running"]])
    );
    assert_eq!(
        right.ask("return log.includes('+next')").await,
        json!(false)
    );
    // Who waits can be told to stop, and then never begins.
    let given_up = "const op = peerage.start('right', 'note', 'never', { lane: 'a' }); op.cancel('enough'); return await op.result";
    assert_eq!(given(&left, given_up).await["end"], "cancel");
    right.ask("finish(0); return 0").await;
    given(&left, "await holds.result; await next.result").await;
    assert_eq!(
        right.ask("return log.includes('+never')").await,
        json!(false)
    );

    // One that was accepted lets the next begin.
    let accepted = "window.accepted = peerage.start('right', 'accepting', 'long', { lane: 'c' });
        await peerage.start('right', 'note', 'after', { lane: 'c' }).result; return 0";
    given(&left, accepted).await;
    right
        .ask("window.early = log.includes('-long'); release(); return 0")
        .await;
    given(&left, "await accepted.result").await;
    let order = right
        .ask("return [early, log.indexOf('+long') < log.indexOf('+after')]")
        .await;
    assert_eq!(order, json!([false, true]));
}
