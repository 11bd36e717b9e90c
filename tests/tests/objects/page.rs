//! What a page's own objects may do, and what may be done with proxies of them.

use super::*;

/// An agent whose methods give and throw what cannot be read.
const HOSTILE: &str = "
    const revoked = of => { const r = Proxy.revocable(of, {}); r.revoke(); return r.proxy };
    const detached = array => { structuredClone(array.buffer, { transfer: [array.buffer] }); return array };
    const fails = why => () => { throw new Error(why) };
    window.hostile = {
        revoked() { return revoked({}) },
        inside() { return [revoked([])] },
        tag() { return Object.defineProperty({}, Symbol.toStringTag, { get: fails('tag') }) },
        keys() { return new Proxy({}, { ownKeys: fails('keys') }) },
        classes() { return new Proxy({}, { getPrototypeOf: fails('classes'), ownKeys: fails('keys') }) },
        bytes() { return detached(new Uint8Array(8)) },
        floats() { return detached(new Float64Array(8)) },
        buffer() { return detached(new Uint8Array(8)).buffer },
        item() { return Object.defineProperty([1], 1, { enumerable: true, get: fails('item') }) },
        field() { return Object.defineProperty({}, 'x', { enumerable: true, get: fails('field') }) },
        noBytes() { return Object.create(Uint8Array.prototype) },
        noDate() { return Object.create(Date.prototype) },
        noMap() { return Object.create(Map.prototype) },
        noSet() { return Object.create(Set.prototype) },
        noPromise() { return Object.create(Promise.prototype) },
        noReference() { return [Object.create(Promise.prototype)] },
        thenable() { return Object.defineProperty({}, 'then', { get: fails('then') }) },
        name() { throw Object.defineProperty(new Error('name'), 'name', { get: fails('name') }) },
        nameless() { throw Object.assign(new Error('nameless'), { name: 5 }) },
        thrown() { throw revoked({}) },
        symbol() { throw Symbol('x') },
    };
    window.trap = new Proxy({}, { getPrototypeOf: fails('trap'), ownKeys: fails('trap'),
        getOwnPropertyDescriptor: fails('trap') });
    peerage.agent('Hostile', hostile);
    peerage.agent('Trap', trap);
    peerage.agent('Kind', {
        echo(x) { return x },
        map() { const map = new Map([[1, 2]]); map[Symbol.iterator] = fails('iterator'); return map },
        bare() { return Object.assign(Object.create(null), { x: 1 }) },
    });
    return Object.keys(hostile)";

#[tokio::test]
async fn what_a_page_throws_when_it_is_read_fails_that_call_alone() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let methods = right.ask(HOSTILE).await;
    for method in methods.as_array().unwrap() {
        let body = format!("await peerage.proxy('right', 'Hostile').call({method}); return 'fine'");
        let failed = result(&left, &body).await;
        // What is no promise is found out when it is awaited, which is not for its giver to do.
        if method == "noReference" {
            continue;
        }
        let expected = [json!("bad-message"), json!("refused")];
        assert!(expected.contains(&failed["code"]), "{method}: {failed}");
    }
    let trap = "const trap = peerage.proxy('right', 'Trap');
        const codes = [trap.x(), trap.get('x'), trap.set('x', 1), trap.watch('x', () => {}).begun]
            .map(done => done.then(() => 'fine', e => e.code));
        return await Promise.all(codes)";
    let codes = result(&left, trap).await;
    assert_eq!(
        codes.as_array().unwrap()[..3],
        [json!("refused"), json!("refused"), json!("refused")]
    );

    // Arguments are read here, by the same rules.
    let given = format!(
        "{} const kind = peerage.proxy('right', 'Kind'), codes = new Set;
        for (const give of Object.values(hostile).slice(0, 14)) await kind.echo(give()).catch(e => codes.add(e.code));
        return [[...codes], await kind.echo(1), [...await kind.map()], (await kind.bare()).x]",
        HOSTILE.replace("return Object.keys(hostile)", "")
    );
    assert_eq!(
        result(&left, &given).await,
        json!([["bad-message"], 1, [[1, 2]], 1])
    );
    assert_eq!(result(&left, "return await calc.add(1, 2)").await, json!(3));
}

#[tokio::test]
async fn a_watched_object_can_be_collected_and_is_heard_when_it_is_shared_anew() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let give = "window.shared = { total: 1 }; shared.itself = shared;
        window.accessor = () => Object.getOwnPropertyDescriptor(shared, 'total').set;
        peerage.agent('Giver', { give() { return peerage.byReference(shared) } });
        return peerage.objectCounts().own";
    let own = right.ask(give).await;
    let released = format!("gc(); return peerage.objectCounts().own === {own}");
    let watch = "window.got = []; window.given = await peerage.proxy('right', 'Giver').give();
        window.watched = given.watch('total', value => got.push(value)); await watched.begun; return 0";
    let release = "watched.off(); peerage.release(given); given = undefined; return 0";

    for value in [7, 8] {
        result(&left, watch).await;
        left.until("return got.length === 1").await;
        let set = format!("window.first ??= accessor(); shared.total = {value}; return 0");
        right.ask(&set).await;
        left.until("return got.length === 2").await;
        assert_eq!(left.ask("return got[1]").await, json!(value));
        left.ask(release).await;
        right.until(&released).await;
        // Still there, and the page's own: it was not wrapped again.
        let kept = right
            .ask("return [shared.total, accessor() === first]")
            .await;
        assert_eq!(kept, json!([value, true]));
    }
    let lose = "window.weak = new WeakRef(shared); shared = first = undefined; return 0";
    right.ask(lose).await;
    right.until("gc(); return weak.deref() === undefined").await;
}

#[tokio::test]
async fn a_method_may_return_what_another_node_has_not_answered_yet() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    left.ask("peerage.agent('Other', { n: 5, fail() { throw new RangeError('no') } }); return 0")
        .await;
    let via = "const other = peerage.proxy('left', 'Other');
        peerage.agent('Via', { total() { return other.get('n') }, fail() { return other.fail() } });
        return 0";
    right.ask(via).await;
    let asked = "const via = peerage.proxy('right', 'Via');
        return [await via.total(), await via.fail().catch(e => e.name + ' ' + e.message)]";
    assert_eq!(result(&left, asked).await, json!([5, "RangeError no"]));
    // It is the number that is answered, and not a promise, which only a page would await.
    let node = join(&relay, "native").await;
    let total = node.rpc().proxy("right", "Via").call::<f64>("total", &());
    assert_eq!(total.await, Ok(5.0));
    node.close().await;
}

#[tokio::test]
async fn a_property_that_sets_another_tells_of_both_once() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let offer = "peerage.agent('Both', {
            one: 0, twice: 0, fixed: 7,
            get a() { return this.one }, set a(n) { this.one = n; this.twice = 2 * n },
            get secret() { window.ran = true; return 1 }, m() {},
        });
        return 0";
    right.ask(offer).await;
    let watch = "window.got = []; window.both = peerage.proxy('right', 'Both');
        for (const name of ['a', 'twice']) await both.watch(name, n => got.push(name + n)).begun; return 0";
    result(&left, watch).await;
    left.until("return got.length === 2").await;
    result(&left, "await both.set('a', 3); await both.set('a', 4)").await;
    left.until("return got.includes('twice8') && got.includes('a4')")
        .await;
    // What it was between may be left out.
    let told = left
        .ask("return [got.filter(x => x === 'a4').length, got.filter(x => x === 'twice8').length]")
        .await;
    assert_eq!(told, json!([1, 1]));

    // To say what an object has, nothing of it is read.
    let unknown = result(&left, "await both.nothing()").await;
    let message = unknown["message"].as_str().unwrap();
    assert!(message.ends_with("it has m"), "{unknown}");
    assert_eq!(right.ask("return window.ran ?? null").await, Value::Null);
}

#[tokio::test]
async fn listeners_and_handles_mean_no_more_than_their_own() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let listen = "window.got = [];
        const on = calc.on('tick', n => { got.push(n); on.off() });
        window.all = []; await calc.on('tick', n => all.push(n)).begun; await on.begun; return 0";
    result(&left, listen).await;
    right
        .ask("for (let n = 0; n < 5; n++) agent.emit('tick', n); return 0")
        .await;
    left.until("return all.length === 5").await;
    assert_eq!(left.ask("return got").await, json!([0]));

    let handles = "const first = peerage.agent('X', { v: 1 }); first.close();
        window.second = peerage.agent('X', { v: 2 }); first.close();
        const codes = [];
        try { first.emit('e', 1) } catch (e) { codes.push(e.code) }
        const late = { v: 3 };
        try { peerage.agent('X', late, { version: 1 }) } catch (e) { codes.push(e.code) }
        peerage.agent('Y', late, { version: 4 });
        try { peerage.byReference(1) } catch (e) { codes.push(e.code) }
        return codes";
    assert_eq!(
        right.ask(handles).await,
        json!(["left", "refused", "bad-message"])
    );
    let found = "return [await peerage.proxy('right', 'X').get('v'),
        await peerage.proxy('right', 'Y', { version: 4 }).get('v'),
        (await peerage.proxy('right', 'Y').nothing().catch(e => e.message)).split(' ')[0]]";
    assert_eq!(result(&left, found).await, json!([2, 3, "Y"]));
}

#[tokio::test]
async fn a_proxy_says_itself_what_the_language_asks_of_it() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    // Even of a node that is not there: nothing is sent.
    let local = "const nobody = peerage.proxy('nobody', 'Nobody'), pending = calc.child('a');
        return [JSON.stringify({ nobody, pending }), typeof `${nobody}${pending}`, nobody.valueOf() === nobody,
            typeof nobody.toString(), await pending.get('name')]";
    assert_eq!(
        result(&left, local).await,
        json!(["{}", "string", true, "string", "a"])
    );
    let fixed = "return [() => { calc.total = 1 }, () => { delete calc.total },
            () => Object.defineProperty(calc, 'total', { value: 1 }), () => { calc.add.x = 1 }]
        .map(change => { try { change(); return 'done' } catch (e) { return e.name + e.message.includes('.set(name, value)') } })";
    let refused = json!("TypeErrortrue");
    assert_eq!(
        result(&left, fixed).await,
        json!([refused, refused, refused, refused])
    );
    assert_eq!(right.ask("return calc.total").await, json!(0));
}
