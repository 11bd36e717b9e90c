//! What a file means, where the grammar leaves it open.
#![allow(clippy::unwrap_used)]

fn rust(source: &str) -> String {
    peerage_tau::rust(&peerage_tau::parse(source).unwrap())
}

fn typescript(source: &str) -> String {
    peerage_tau::typescript(&peerage_tau::parse(source).unwrap())
}

/// What both languages make of one file is what they make of another.
fn same(one: &str, other: &str) {
    assert_eq!(rust(one), rust(other));
    assert_eq!(typescript(one), typescript(other));
}

#[test]
fn an_empty_file_is_fine() {
    assert_eq!(rust("").lines().count(), 1);
    assert_eq!(typescript("// nothing").lines().count(), 1);
}

#[test]
fn semicolons_may_be_missing_or_too_many() {
    same(
        "class A { int x int y } enum E { B C }",
        "class A { ; int x; int y;; }; enum E { B, C, };",
    );
}

#[test]
fn namespaces_may_be_nested_or_joined_or_opened_again() {
    let nested = "namespace A { namespace B { class C { } class D { } } }";
    same(nested, "namespace A::B { class C { } class D { } }");
    same(
        nested,
        "namespace A::B { class C { } } namespace A { namespace B { class D { } } }",
    );
}

#[test]
fn what_is_not_public_is_left_out() {
    same(
        "class A { int x; private: Unknown y; void f(); protected: int z; public: int w; }",
        "class A { int x; int w; }",
    );
}

#[test]
fn how_a_method_is_called_is_the_callers_choice() {
    let plain = "interface A { int f(); }";
    for method in [
        "async int f()",
        "sync int f()",
        "static int f()",
        "static async Future<int> f()",
        "int f() const;",
    ] {
        same(plain, &format!("interface A {{ {method} }}"));
    }
}

#[test]
fn a_list_is_written_in_three_ways() {
    let list = "interface A { void f(string[] x); }";
    same(list, "interface A { void f(string x[]); }");
    same(list, "interface A { void f(List<string> x); }");
    same(list, "interface A { void f(Array<String> x); }");
}

#[test]
fn the_whole_part_of_a_version_counts() {
    same(
        "@version(2) interface A { }",
        "@versioned(2.7) interface A { }",
    );
}

#[test]
fn the_nearest_of_several_names_is_meant() {
    let source = "class A { } namespace N { class A { } class B { A a; } class C { N::A a; } }
        class D { A a; N::A b; }";
    let written = rust(source);
    assert_eq!(written.matches("pub a: A,").count(), 3, "{written}");
    assert!(written.contains("pub b: n::A,"), "{written}");
}

#[test]
fn comments_before_something_document_it() {
    let documented = rust(
        "/// First.\n// Not wanted.\n/** Second. */ @version(1) /// Third.\n interface A {
            //// Not wanted.\n /*** Nor wanted. */ int x; ///< Nor wanted.\n /**\n * Fourth.\n *\n * Fifth.\n */ int y; }",
    );
    for line in ["First.", "Second.", "Third.", "Fourth.", "Fifth."] {
        assert!(
            documented.contains(&format!("/// {line}\n")),
            "{documented}"
        );
    }
    assert!(!documented.contains("wanted"), "{documented}");
}

#[test]
fn comments_cannot_steer_how_code_is_read() {
    let source = "/// a\u{202e}b\rc\n/// */ export const x = 1; /*\nclass A { }";
    assert!(rust(source).contains("/// a\u{fffd}b\u{fffd}c\n"));
    assert!(typescript(source).contains(" * * / export const x = 1; /*\n"));
}
