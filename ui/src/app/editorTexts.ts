/** The texts of the editor. */

export const enEditor = {
  editorKeys: "Tab indents; Esc, then Tab leaves the editor",
  draftBack: "This is your text from before, which is not saved.",
  draftOutdated: "This is your text from before, which is not saved. The object has changed since: compare before you save.",
} as const;

export const koEditor: Record<keyof typeof enEditor, string> = {
  editorKeys: "Tab은 들여쓰기, Esc를 누른 뒤 Tab은 편집기를 나갑니다",
  draftBack: "앞서 쓰고 저장하지 않은 내용입니다.",
  draftOutdated: "앞서 쓰고 저장하지 않은 내용입니다. 그 사이 객체가 바뀌었으니 저장하기 전에 비교하십시오.",
};
