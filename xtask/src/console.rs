//! The console as files that any web server can serve: `web/dist`, which the relay embeds.

use crate::wasm::{self, Module, STRIPPED};
use crate::workspace::Workspace;
use crate::{Error, files, package};
use std::path::PathBuf;

const CONSOLE: Module = Module {
    package: "peerage-web",
    artifact: "peerage-web",
    name: "console",
};

/// A file of its own, because the page's content security policy forbids inline scripts.
const BOOT: &str = r#"import init from "/console.js";

await init({ module_or_path: "/console_bg.wasm" });
"#;

/// What stands in the page where Trunk's form has its `rel="rust"` link.
const START: &str = r#"<link rel="modulepreload" href="/console.js">
<link rel="preload" href="/console_bg.wasm" as="fetch" type="application/wasm" crossorigin>
<script type="module" src="/boot.js"></script>"#;

/// Builds the console into `web/dist`, with the npm package, which pages beside it use.
pub(crate) fn build(ws: &Workspace) -> Result<(), Error> {
    package::build(ws)?;
    let web = ws.root.join("web");
    let source = files::read(&web.join("index.html"))?;
    let page = page(&String::from_utf8_lossy(&source))?;

    wasm::compile(ws, &CONSOLE)?;
    let flags = [&["--no-typescript"], &STRIPPED[..]].concat();
    let mut dist = files::read_tree(&wasm::bind(ws, &CONSOLE, &flags)?)?;
    for Folder { from, to } in page.folders {
        let tree = files::read_tree(&web.join(&from))?;
        if tree.is_empty() {
            return Err(Error::Failed(format!("web/{from}: expected files in it")));
        }
        let to = PathBuf::from(to);
        dist.extend(tree.into_iter().map(|(path, file)| (to.join(path), file)));
    }
    for path in page.links {
        let content = files::read(&web.join(&path))?;
        dist.insert(path.into(), content);
    }
    dist.insert("boot.js".into(), BOOT.into());
    dist.insert("index.html".into(), page.html.into());
    files::write_tree(&web.join("dist"), &dist)
}

/// A page without Trunk's links, and the files that it refers to instead.
struct Page {
    html: String,
    links: Vec<String>,
    folders: Vec<Folder>,
}

/// A folder that is served as it is: where it is, and where it goes.
#[derive(Debug, PartialEq)]
struct Folder {
    from: String,
    to: String,
}

/// Does to `index.html` what Trunk would do to it.
fn page(source: &str) -> Result<Page, Error> {
    let mut pieces = source.split("<link ");
    let mut html = pieces.next().unwrap_or_default().to_owned();
    let (mut links, mut folders) = (Vec::new(), Vec::new());
    let mut starts = false;
    for piece in pieces {
        let (tag, rest) = piece.split_once('>').unwrap_or((piece, ""));
        if !tag.contains("data-trunk") {
            html.extend(["<link ", piece]);
            continue;
        }
        match (attribute(tag, "rel"), attribute(tag, "href")) {
            (Some("rust"), _) => {
                starts = true;
                html.push_str(START);
            }
            (Some(rel @ ("css" | "icon")), Some(href)) => {
                let rel = if rel == "css" { "stylesheet" } else { rel };
                html.push_str(&format!(r#"<link rel="{rel}" href="/{href}">"#));
                links.push(href.to_owned());
            }
            (Some("copy-dir"), Some(from)) => folders.push(Folder {
                from: from.to_owned(),
                to: attribute(tag, "data-target-path")
                    .unwrap_or(from)
                    .to_owned(),
            }),
            _ => return Err(unknown(tag)),
        }
        html.push_str(rest);
    }
    if !starts {
        return Err(unknown("nothing of the kind"));
    }
    Ok(Page {
        html,
        links,
        folders,
    })
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = tag.split_once(&format!("{name}=\""))?;
    Some(value.split_once('"')?.0)
}

fn unknown(found: &str) -> Error {
    Error::Failed(format!(
        "web/index.html: expected data-trunk links with rel=\"rust\", and css, icon or \
         copy-dir with an href; found {found}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trunks_links_become_the_browsers_own() {
        let source = r#"<head>
<link data-trunk rel="rust" data-wasm-opt="0"/>
<link data-trunk rel="css" href="style.css"/>
<link data-trunk rel="copy-dir" href="pour"/>
<link data-trunk rel="copy-dir" href="../pkg" data-target-path="peerage"/>
<link rel="me" href="x">
</head>"#;
        let page = page(source).unwrap();

        assert!(page.html.contains(START));
        assert!(
            page.html
                .contains(r#"<link rel="stylesheet" href="/style.css">"#)
        );
        assert!(page.html.contains(r#"<link rel="me" href="x">"#));
        assert!(!page.html.contains("data-trunk"));
        assert_eq!(page.links, ["style.css"]);
        let folder = |from: &str, to: &str| Folder {
            from: from.into(),
            to: to.into(),
        };
        let folders = [folder("pour", "pour"), folder("../pkg", "peerage")];
        assert_eq!(page.folders, folders);
    }

    #[test]
    fn a_page_that_starts_nothing_is_refused() {
        assert!(page("<head></head>").is_err());
        assert!(page(r#"<link data-trunk rel="scss" href="a.scss"/>"#).is_err());
    }
}
