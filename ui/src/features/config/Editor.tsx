/** A YAML editor with completion from the kind's schema and marks beside lines with problems. Loaded when first used. */
import { autocompletion, closeBrackets, completionKeymap, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import type { Problem } from "../../api/client";
import { useText } from "../../app/language";
import { completionsAt, type Schema } from "../../domain/completion";

interface Properties {
  label: string;
  value: string;
  onChange: (text: string) => void;
  problems: readonly Problem[];
  schema: Schema | undefined;
  readOnly: boolean;
  /** Where to begin: the line is chosen and scrolled to. 0: at the start. */
  line?: number;
}

const COLORS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--healthy)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--tcp)" },
  { tag: tags.comment, color: "var(--soft)", fontStyle: "italic" },
]);

const LOOK = EditorView.theme({
  "&": { backgroundColor: "var(--surface)", color: "var(--text)", fontSize: "13px", height: "100%" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "ui-monospace, SFMono-Regular, Menlo, monospace", lineHeight: "1.6" },
  ".cm-content": { caretColor: "var(--text)", padding: "10px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--raised)", color: "var(--soft)", border: "none" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent) 6%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--accent-soft)",
  },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--line)", borderRadius: "8px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent-soft)", color: "var(--text)" },
  ".cm-completionInfo": { maxWidth: "340px", padding: "8px 10px" },
});

export default function Editor({ label, value, onChange, problems, schema, readOnly, line = 0 }: Properties) {
  const keys = useText()("editorKeys");
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef({ onChange, schema });
  useEffect(() => {
    latest.current = { onChange, schema };
  });

  useEffect(() => {
    const host = place.current;
    if (host === null) return;
    // In a shadow root CodeMirror adopts its style sheets, which the Content-Security-Policy allows; a style element it does not.
    const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
    const inner = document.createElement("div");
    inner.style.height = "100%";
    root.append(inner);
    const complete = (context: CompletionContext): CompletionResult | null => completeYaml(context, latest.current.schema);
    const created = new EditorView({
      parent: inner,
      root,
      state: EditorState.create({
        doc: value,
        extensions: [
          lineNumbers(),
          lintGutter(),
          history(),
          drawSelection(),
          highlightActiveLine(),
          bracketMatching(),
          closeBrackets(),
          indentUnit.of("  "),
          yaml(),
          syntaxHighlighting(COLORS),
          autocompletion({ override: [complete] }),
          keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, ...lintKeymap, indentWithTab]),
          EditorState.readOnly.of(readOnly),
          // Tab indents, so who leaves by the keyboard is told how.
          EditorView.contentAttributes.of({ tabindex: "0", "aria-label": label, "aria-description": keys }),
          EditorView.lineWrapping,
          LOOK,
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = created;
    return () => {
      created.destroy();
      inner.remove();
      view.current = null;
    };
    // The text is set by the effect below; the editor is made anew only when what it may do changes.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [label, keys, readOnly]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null || line < 1) return;
    const { from, to } = editor.state.doc.line(Math.min(line, editor.state.doc.lines));
    editor.dispatch({ selection: { anchor: from, head: to }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
    editor.focus();
  }, [line]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null) return;
    const found = problems.map((problem) => {
      const line = editor.state.doc.line(Math.min(Math.max(problem.line, 1), editor.state.doc.lines));
      const severity = ({ Error: "error", Warning: "warning", Info: "info" } as const)[problem.severity];
      return { from: line.from + (line.text.length - line.text.trimStart().length), to: line.to, severity, message: `${problem.message} ${problem.hint}`.trim() };
    });
    editor.dispatch(setDiagnostics(editor.state, found));
  }, [problems, value]);

  return <div className="editor" ref={place} />;
}

function completeYaml(context: CompletionContext, schema: Schema | undefined): CompletionResult | null {
  const line = context.state.doc.lineAt(context.pos);
  const word = context.matchBefore(/[\w-]*/);
  if (schema === undefined || word === null || (word.from === word.to && !context.explicit)) return null;
  const lines = context.state.doc.toString().split("\n");
  const options = completionsAt(schema, lines, line.number - 1, word.from - line.from);
  return options.length === 0
    ? null
    : { from: word.from, options: options.map((option) => ({ label: option.label, apply: option.apply, type: option.type, ...(option.info === "" ? {} : { info: option.info }) })) };
}
