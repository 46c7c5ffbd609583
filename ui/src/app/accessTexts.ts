/** The texts of who may do what. */

export const enAccess = {
  mayNot: "{user} may not {changes} {resource} in namespace {namespace}.",
  mayNotAnywhere: "{user} may not {changes} {resource}.",
  "mayNot.create": "create",
  "mayNot.update": "change",
  "mayNot.delete": "delete",
  mayNotOr: " or ",
  askForRights: "Ask somebody who may grant rights to run:",
  sessionEnded: "Your session has ended",
  sessionEndedHint: "What is on this page stays as it is. After logging in in another tab, this one goes on.",
  logInAgain: "Log in again",
  logInElsewhere: "In another tab",
  logOut: "Log out",
  logOutAs: "Log out ({user})",
  rightsUnknown: "Nobody could say what you may do, so nothing is switched off. The API server decides when you try.",
} as const;

export const koAccess: Record<keyof typeof enAccess, string> = {
  mayNot: "{user} 사용자는 {namespace} 네임스페이스의 {resource}에 대해 {changes} 권한이 없습니다.",
  mayNotAnywhere: "{user} 사용자는 {resource}에 대해 {changes} 권한이 없습니다.",
  "mayNot.create": "생성",
  "mayNot.update": "변경",
  "mayNot.delete": "삭제",
  mayNotOr: "·",
  askForRights: "권한을 줄 수 있는 사람에게 다음 명령을 부탁하세요.",
  sessionEnded: "세션이 끝났습니다",
  sessionEndedHint: "이 페이지의 내용은 그대로 있습니다. 다른 탭에서 로그인하면 여기서 이어서 할 수 있습니다.",
  logInAgain: "다시 로그인",
  logInElsewhere: "다른 탭에서",
  logOut: "로그아웃",
  logOutAs: "로그아웃 ({user})",
  rightsUnknown: "무엇을 할 수 있는지 확인하지 못해 아무것도 막지 않았습니다. 실행할 때 API 서버가 판단합니다.",
};
