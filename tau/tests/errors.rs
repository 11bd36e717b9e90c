//! What is wrong is told with its place, what was expected and what came.
#![allow(clippy::unwrap_used)]

use peerage_tau::{DEPTH_MAX, NAME_CHARS_MAX, parse};

/// Each file is followed by its error, behind a `>`.
fn assert_errors(cases: &str) {
    let mut source = String::new();
    for line in cases.trim_start().lines() {
        let Some(expected) = line.strip_prefix("> ") else {
            source += line;
            source += "\n";
            continue;
        };
        match parse(source.trim_end()) {
            Ok(_) => panic!("no error in: {source}"),
            Err(error) => assert_eq!(error.to_string(), expected, "{source}"),
        }
        source.clear();
    }
    assert_eq!(source, "", "a file without its error");
}

fn parses(source: &str) {
    if let Err(error) = parse(source) {
        panic!("{}", error.report("a file", source));
    }
}

#[test]
fn what_is_not_tau_is_refused_where_it_begins() {
    assert_errors(
        r##"
interface
> 1:10: expected a name, got the end of the file
interface Foo
  int x;
> 2:3: expected `{` or `:`, got `int`
int x;
> 1:1: expected `namespace`, `interface`, `class`, `struct` or `enum`, got `int`
namespace A { class B {}
> 1:25: expected `namespace`, `interface`, `class`, `struct` or `enum`, or `}`, got the end of the file
class A { } }
> 1:13: expected `namespace`, `interface`, `class`, `struct` or `enum`, got `}`
interface Foo {
    int x;
> 2:11: expected a member, or the `}` of `Foo`, got the end of the file
interface Foo { int 7; }
> 1:21: expected a member's name after its type, got the number 7
interface Foo { "x" y; }
> 1:17: expected a member: a type, `event` or `}`, got the text "x"
interface Foo { int x(int a; }
> 1:28: expected `,` or `)`, got `;`
interface Foo { int M3(int a0, a1); }
> 1:34: expected a parameter's name after its type, got `)`
interface Foo { void f(int); }
> 1:27: expected a parameter's name after its type, got `)`
interface Foo { void f(int a,); }
> 1:30: expected a parameter's type, got `)`
interface Foo { Map<string int> x; }
> 1:28: expected `,` or `>`, got `int`
interface Foo { int x[5]; }
> 1:23: expected `]`, as lists have any length, got the number 5
interface Foo { int x = ; }
> 1:25: expected a value: a number, a text in quotes or a name, got `;`
interface Foo { int x = -y; }
> 1:26: expected a number after `-`, got `y`
interface Foo { async int x; }
> 1:28: expected `(`, as only methods are `async` or `sync`, got `;`
interface Foo { event x; }
> 1:24: expected `(`, got `;`
interface Foo { private int x; }
> 1:25: expected `:`, got `int`
interface A : B, C { }
> 1:16: expected `{`, as there is one base only, got `,`
namespace A = B
> 1:16: expected `;`, got the end of the file
"##,
    );
}

#[test]
fn what_is_no_token_is_refused() {
    assert_errors(
        r##"
class Größe { }
> 1:9: expected letters of ASCII, digits, texts in quotes and punctuation, got `ö`
class A { string s = "no end;
 }
> 1:22: expected a closing `"`, got a text that its line does not end
class A { }
/* no end
> 2:1: expected `*/`, got a comment that goes on to the end of the file
class A { int x = 12ab; }
> 1:19: expected a number, got `12ab`
class A { int x = 1.2.3; }
> 1:19: expected a number, got `1.2.3`
"##,
    );
}

#[test]
fn what_steers_a_terminal_is_not_repeated() {
    let error = parse("class A { }\n\u{1b}").unwrap_err().to_string();
    assert!(
        error.starts_with("2:1: ") && error.ends_with("got `\u{fffd}`"),
        "{error}"
    );
}

#[test]
fn a_keyword_is_no_name() {
    assert_errors(
        r##"
interface event { }
> 1:11: expected a name, got the keyword `event`
interface Foo { int async; }
> 1:21: expected a member's name after its type, got the keyword `async`
interface Foo { void f(int const); }
> 1:28: expected a parameter's name after its type, got the keyword `const`
class Proxy { }
> 1:7: expected a name, got the keyword `Proxy`
enum E { A, static }
> 1:13: expected a value's name or `}`, got the keyword `static`
class A { int _; }
> 1:15: expected a name that begins with a letter, got `_`
class A { int _1; }
> 1:15: expected a name that begins with a letter, got `_1`
"##,
    );
}

#[test]
fn what_only_the_tutorial_or_other_languages_have_is_named() {
    for (source, place, thing, word) in [
        ("service Chat { }", "1:1", "`service`", "interface"),
        (
            "namespace A {\n exception Bad { } }",
            "2:2",
            "`exception`",
            "fail",
        ),
        (
            "interface A { void f() throws Bad; }",
            "1:24",
            "`throws`",
            "fail",
        ),
        (
            "interface A { @remote(timeout=5000) void f(); }",
            "1:15",
            "`@remote`",
            "caller",
        ),
        (
            "@generate(proxy) interface A { }",
            "1:1",
            "`@generate`",
            "--rust",
        ),
        (
            "@proxy interface A { }",
            "1:1",
            "`@proxy`",
            "every interface",
        ),
        (
            "@registrable class A { }",
            "1:1",
            "`@registrable`",
            "every interface",
        ),
        ("@nonsense class A { }", "1:1", "`@nonsense`", "@version"),
        (
            "interface A<T> { }",
            "1:12",
            "generic declarations",
            "Object",
        ),
        (
            "interface A { T get<T>(); }",
            "1:20",
            "generic declarations",
            "Object",
        ),
        ("class A implements B { }", "1:9", "`implements`", ": Base"),
        ("class A { int* p; }", "1:14", "`*`", "reference"),
        ("class A { int? p; }", "1:14", "`?`", "= value"),
        ("#include \"other.tau\"", "1:1", "`#`", "file"),
        ("import other;", "1:1", "`import`", "file"),
    ] {
        let error = parse(source).unwrap_err().to_string();
        let start = format!("{place}: Tau's grammar has no {thing}: ");
        assert!(error.starts_with(&start), "{error}");
        assert!(error[start.len()..].contains(word), "{error}");
    }
}

#[test]
fn a_version_is_a_number_before_an_interface() {
    parses("@version(2) interface A { }  @versioned(2.0) class B { void f(); }");
    assert_errors(
        r##"
@version(two) interface A { }
> 1:10: expected a version's number, got `two`
@version(-1) interface A { }
> 1:10: expected a version's number, got `-`
@version interface A { }
> 1:10: expected `(`, got the keyword `interface`
@version(1) @version(2) interface A { }
> 1:13: expected one version, got a second
@version(1) enum A { B }
> 1:13: expected `interface` after its version, got the keyword `enum`
@version(1) struct A { int x; }
> 1:20: expected an interface after a version, got `A`, which has fields only
"##,
    );
}

#[test]
fn an_unknown_type_is_told_with_what_may_be_meant() {
    assert_errors(
        r##"
class A {
    Strin name;
}
> 2:5: expected a type that is built in or declared, got `Strin`
class A { number x; }
> 1:11: expected a type that is built in or declared, got `number`; did you mean `double`?
class A { Date x; }
> 1:11: expected a type that is built in or declared, got `Date`; did you mean `date`?
interface IFoo { } class A { Foo x; }
> 1:30: expected a type that is built in or declared, got `Foo`; did you mean `IFoo`?
namespace A { class B { } } class C { B x; }
> 1:39: expected a type that is built in or declared, got `B`; did you mean `A::B`?
namespace A { } class C { A::B x; }
> 1:27: expected a type that is built in or declared, got `A::B`
class C { A::B x; }
> 1:11: expected a namespace, got `A`, which none is called
interface A : B { }
> 1:15: expected a type that is built in or declared, got `B`
interface A { void f(List<Thing> x); }
> 1:27: expected a type that is built in or declared, got `Thing`
"##,
    );
}

#[test]
fn a_type_stands_only_where_it_makes_sense() {
    assert_errors(
        r##"
class A { void x; }
> 1:11: expected a value's type, as `void` can only be returned, got `void`
interface A { void[] f(); }
> 1:15: expected a value's type, as `void` can only be returned, got `void`
class A { Future<int> x; }
> 1:11: expected a value's type, as only parameters and what is returned can be futures, got `Future`
interface A { List<Future<int>> f(); }
> 1:20: expected a value's type, as only parameters and what is returned can be futures, got `Future`
interface A { Future f(); }
> 1:15: expected `Future<T>`, got 0 types in `<>`
class A { Map<int> x; }
> 1:11: expected `Map<K, V>`, got 1 types in `<>`
class A { Map<double, int> x; }
> 1:15: expected a key that has an order: a string, an integer, a bool or an enum, got `double`
class A { int<bool> x; }
> 1:15: expected `int` alone, which has no types in `<>`, got `<bool`
class A { } class B { A<int> x; }
> 1:25: expected `A` alone, which has no types in `<>`, got `<int`
enum E { A } interface I : E { }
> 1:28: expected an interface or a class as the base, got the enum `E`
struct A { int x; void f(); }
> 1:24: expected fields only in a struct (what has methods or events is a `class`), got `f`
interface I { } struct A : I { }
> 1:28: expected fields only in a struct (what has methods or events is a `class`), got the interface `I`
interface A { void f(int a = 1, int b); }
> 1:37: expected a default here too, as `a` before it has one, got only `b`
"##,
    );
}

#[test]
fn a_name_is_taken_once() {
    assert_errors(
        r##"
class A { }
enum A { B }
> 2:6: expected another name: `A` is taken by line 1
interface IFoo { }
class Foo { }
> 2:7: expected another name: `Foo` is taken by line 1
class Foo { }
interface IFoo { }
> 2:11: expected another name: `Foo`, made from `IFoo`, is taken by line 1
class Foo { }
interface IBar { Foo x; }
class BarProxy { }
> 2:11: expected another name: `BarProxy`, made from `IBar`, is taken by line 3
interface A { event e(); }
class AEvents { }
> 1:11: expected another name: `AEvents`, made from `A`, is taken by line 2
namespace Foo { }
namespace foo { }
> 2:11: expected another name: `foo` is taken by line 1
namespace A { }
namespace B = A;
namespace B { }
> 3:11: expected another name: `B` is taken by line 2
class A { void f(int x, int x); }
> 1:29: expected another name: `x` is taken by line 1
enum E { A,
 B, A }
> 2:5: expected another name: `A` is taken by line 1
interface IFoo { }
namespace N { class Foo { IFoo x; } }
> 2:27: expected another name: `Foo`, made from `IFoo`, is taken by line 2
"##,
    );
}

#[test]
fn members_clash_if_they_have_one_name_on_the_wire() {
    assert_errors(
        r##"
class A {
 void V0();
 void V0(int a);
}
> 3:7: expected another name: `v0`, made from `V0`, is taken by line 2, and peers know members by their names alone
class A { void done();
 event Done(); }
> 2:8: expected another name: `done`, made from `Done`, is taken by line 1, and peers know members by their names alone
class A { int get_x; int getX; }
> 1:26: expected another name: `getX` is taken by line 1, and peers know members by their names alone
class A { int x;
 void SetX(int y); }
> 2:7: expected another name: `setX`, made from `SetX`, is taken by line 1, and peers know members by their names alone
interface A { int x; }
interface B : A { void x(); }
> 2:24: expected another name: `x` is taken by line 1, and peers know members by their names alone
"##,
    );
    parses("class A { const int x; void SetX(int y); }");
}

#[test]
fn what_generated_code_needs_itself_is_reserved() {
    assert_errors(
        r##"
class Option { }
> 1:7: expected another name: generated code uses `Option` itself
interface IMap { }
> 1:11: expected another name: generated code uses `Map` itself
namespace Peerage { }
> 1:11: expected another name: generated code uses `peerage` itself
"##,
    );
}

#[test]
fn circles_are_shown() {
    assert_errors(
        r##"
interface A : B { }
interface B : C { }
interface C : A { }
> 3:15: expected an end, got a circle: A : B : C : A
interface A : A { }
> 1:15: expected an end, got a circle: A : A
interface X : A { } interface A : A { }
> 1:35: expected an end, got a circle: A : A
struct A { B b; } namespace N { struct D { int x; } }
struct B { N::D d; A a; }
> 2:22: expected an end, got a circle: A, B, A, each with the next in itself; a list of it, as `T[]`, may be empty
namespace A { namespace B { } }
namespace C = A;
namespace D = C;
> 3:15: expected a namespace, got `C`, which none is called
"##,
    );
    parses("struct A { A[] a; B b; } struct B { Map<string, A> a; }");
    parses("interface A { B b; } interface B { A a; }");
}

#[test]
fn an_enums_numbers_are_whole_small_and_different() {
    parses("enum E { A = -2147483648, B, C = 0x10, D = 2147483647 }");
    assert_errors(
        r##"
enum E { }
> 1:10: expected a value's name, got `}`
enum E { A = 1.5 }
> 1:14: expected a whole number of at most 32 bits, got 1.5
enum E { A = 4294967296 }
> 1:14: expected a whole number of at most 32 bits, got 4294967296
enum E { A = B }
> 1:14: expected a number, got `B`
enum E { A = 1, B = 0, C }
> 1:24: expected a number other than that of `A`, got 1
enum E { A = 2147483647, B }
> 1:26: expected a number of at most 32 bits, got one more than that
"##,
    );
}

#[test]
fn depth_has_a_limit() {
    let too_deep = |source: &str| {
        let error = parse(source).unwrap_err().to_string();
        assert!(error.contains(&format!("at most {DEPTH_MAX} ")), "{error}");
    };
    let many = 100_000;
    parses(&("namespace A { ".repeat(DEPTH_MAX) + &"}".repeat(DEPTH_MAX)));
    too_deep(&"namespace A { ".repeat(many));
    too_deep(&format!("namespace A{} {{ }}", "::A".repeat(many)));
    too_deep(&format!("class A {{ {}int", "List<".repeat(many)));
    too_deep(&format!("class A {{ int{} x; }}", "[]".repeat(many)));
    let bases = (0..many).map(|n| format!("class C{} : C{n} {{ }}\n", n + 1));
    too_deep(&format!("class C0 {{ }} {}", bases.collect::<String>()));
}

#[test]
fn long_chains_that_are_not_deep_are_fine() {
    let many = 20_000;
    let parts = (0..many).map(|n| format!("class C{} {{ C{n} part; }}\n", n + 1));
    parses(&format!("class C0 {{ }} {}", parts.collect::<String>()));
    let circle = (0..many).map(|n| format!("class C{} {{ C{n} part; }}\n", (n + 1) % many));
    assert!(parse(&circle.collect::<String>()).is_err());
}

#[test]
fn a_name_has_a_limit() {
    let name = "a".repeat(NAME_CHARS_MAX);
    parses(&format!("class {name} {{ }}"));
    let error = parse(&format!("class {name}a {{ }}"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "1:7: expected a name of at most 100 characters, got 101"
    );
}

#[test]
fn a_report_shows_the_line_with_a_caret() {
    let source = "interface Foo\n{\n\tint x(string s, strin t);\n}\n";
    let report = parse(source).unwrap_err().report("foo.tau", source);
    assert_eq!(
        report,
        "foo.tau:3:18: expected a type that is built in or declared, got `strin`\n \
         3 | \tint x(string s, strin t);\n   | \t                ^"
    );
}

#[test]
fn a_report_at_the_end_of_the_file_points_behind_it() {
    let source = "class A {";
    let report = parse(source).unwrap_err().report("a.tau", source);
    assert!(
        report.ends_with(" 1 | class A {\n   |          ^"),
        "{report}"
    );
    let source = "\u{feff}class A {\r\n";
    let report = parse(source).unwrap_err().report("a.tau", source);
    assert!(report.ends_with(" 2 | \n   | ^"), "{report}");
}

#[test]
fn a_report_cuts_long_lines_and_steers_no_terminal() {
    let source = format!(
        "/* {} \u{1b}[2J */ wrong {}",
        "x".repeat(1000),
        "y ".repeat(500)
    );
    let report = parse(&source).unwrap_err().report("a.tau", &source);
    let lines: Vec<&str> = report.lines().collect();
    let caret = lines[2].chars().position(|c| c == '^').unwrap();
    let shown: String = lines[1].chars().skip(caret).take(5).collect();
    assert_eq!(shown, "wrong");
    assert!(
        lines[1].chars().count() < 200 && !report.contains('\u{1b}'),
        "{report}"
    );
}
