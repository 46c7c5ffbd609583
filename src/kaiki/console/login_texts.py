"""The texts of the login page, in English and Korean. Each refusal says what is wrong and the way out."""

from __future__ import annotations

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Log in · Kaiki",
        "heading": "Log in to the console",
        "explain": "Paste the access token, or open the link that <code>kaiki dashboard</code> prints.",
        "explainProvider": "Use your account, or the link that <code>kaiki dashboard</code> prints.",
        "withProvider": "Log in with {provider}",
        "withToken": "Log in with the access token",
        "label": "Access token",
        "button": "Log in",
        "wrongToken": "That token is not right.",
        "wrongCode": "That link was used already or is older than a minute. Ask for a new one.",
        "lookup": "Where is the token?",
    },
    "ko": {
        "title": "로그인 · Kaiki",
        "heading": "콘솔 로그인",
        "explain": "액세스 토큰을 붙여 넣거나 <code>kaiki dashboard</code> 명령이 출력하는 링크를 여세요.",
        "explainProvider": "계정으로 로그인하거나 <code>kaiki dashboard</code> 명령이 출력하는 링크를 여세요.",
        "withProvider": "{provider} 계정으로 로그인",
        "withToken": "액세스 토큰으로 로그인",
        "label": "액세스 토큰",
        "button": "로그인",
        "wrongToken": "토큰이 올바르지 않습니다.",
        "wrongCode": "이미 사용했거나 1분이 지난 링크입니다. 새 링크를 받아 주세요.",
        "lookup": "토큰 확인 방법",
    },
}

# (what is wrong, the way out); {detail} and {user} are filled in.
REFUSALS: dict[str, dict[str, tuple[str, str]]] = {
    "en": {
        "providerUnavailable": (
            "The identity provider does not answer as one.",
            "Try again in a moment. Whoever runs the console can check --oidc-issuer, --oidc-ca-file and the network.",
        ),
        "providerRefused": ("The identity provider refused the login.", "Start again, or ask whoever runs it."),
        "misconfigured": ("The console is not set up for this login.", "Tell whoever runs the console what is below."),
        "notStarted": (
            "This login was not started in this browser, took over ten minutes, or was used already.",
            "Start again. Cookies of this site must be allowed.",
        ),
        "otherLogin": (
            "The identity provider answered for another login (its nonce differs).",
            "Start again. If it comes again, somebody may have given you a forged link: tell whoever runs the console.",
        ),
        "otherProvider": ("The answer comes from another identity provider.", "Start again from this page."),
        "badToken": (
            "The identity provider sent a token that is not good.",
            "Whoever runs the console can compare its client id and issuer with those of the provider.",
        ),
        "clocksDiffer": (
            "The token is not of now, by the clock of the console.",
            "The clocks of the console and the identity provider differ: set both by NTP, then start again.",
        ),
        "noName": (
            "The token does not say who you are: it lacks the claim",
            "Ask for the scope that brings it (--oidc-scope), or name another claim (--oidc-username-claim).",
        ),
        "emailNotVerified": (
            "The identity provider has not verified your e-mail address.",
            "Verify it there, or let the console use another claim (--oidc-username-claim=sub).",
        ),
        "reservedName": (
            "Names that begin with system: are Kubernetes's own.",
            "Set --oidc-username-prefix, or another claim (--oidc-username-claim).",
        ),
        "notInGroup": ("{user} is in none of the groups that may open the console.", "Ask to be added to one of them."),
        "mayNotLook": (
            "{user} may log in, but not open the console: it shows every namespace.",
            "Ask for the right to see them. An administrator gives it by:",
        ),
        "tokenNotTrusted": (
            "The Kubernetes API does not accept tokens of this identity provider.",
            "Start the API server with --oidc-issuer-url and --oidc-client-id, or the console with "
            "--oidc-identity=impersonate.",
        ),
        "mayNotImpersonate": (
            "The console may not act as you.",
            "Its service account needs the verb impersonate for users and groups: install with "
            "--set console.oidc.identity=impersonate.",
        ),
        "kubernetesUnavailable": ("The Kubernetes API did not say what you may see.", "Try again in a moment."),
        "tooLarge": (
            "Your token is too large for cookies.",
            "Let the provider send fewer groups or claims, or start the console with --oidc-identity=impersonate.",
        ),
    },
    "ko": {
        "providerUnavailable": (
            "신원 제공자가 제대로 응답하지 않습니다.",
            "잠시 뒤 다시 시도하세요. 콘솔 운영자는 --oidc-issuer, --oidc-ca-file과 네트워크를 확인할 수 있습니다.",
        ),
        "providerRefused": ("신원 제공자가 로그인을 거부했습니다.", "다시 시작하거나 제공자 운영자에게 문의하세요."),
        "misconfigured": ("콘솔이 이 로그인에 맞게 설정되지 않았습니다.", "아래 내용을 콘솔 운영자에게 알려 주세요."),
        "notStarted": (
            "이 브라우저에서 시작하지 않았거나, 10분이 지났거나, 이미 사용한 로그인입니다.",
            "다시 시작하세요. 이 사이트의 쿠키를 허용해야 합니다.",
        ),
        "otherLogin": (
            "신원 제공자가 다른 로그인에 대해 응답했습니다(nonce가 다름).",
            "다시 시작하세요. 계속되면 위조된 링크일 수 있으니 콘솔 운영자에게 알려 주세요.",
        ),
        "otherProvider": ("다른 신원 제공자의 응답입니다.", "이 페이지에서 다시 시작하세요."),
        "badToken": (
            "신원 제공자가 보낸 토큰이 올바르지 않습니다.",
            "콘솔 운영자는 클라이언트 ID와 발급자가 제공자의 것과 같은지 확인할 수 있습니다.",
        ),
        "clocksDiffer": (
            "콘솔의 시계로는 토큰의 유효 시간이 맞지 않습니다.",
            "콘솔과 신원 제공자의 시계가 다릅니다. 둘 다 NTP로 맞춘 뒤 다시 시작하세요.",
        ),
        "noName": (
            "토큰에 누구인지 알려 주는 클레임이 없습니다:",
            "그 클레임을 주는 스코프를 요청하거나(--oidc-scope) 다른 클레임을 지정하세요(--oidc-username-claim).",
        ),
        "emailNotVerified": (
            "신원 제공자가 이메일 주소를 확인하지 않았습니다.",
            "제공자에서 주소를 확인하거나 콘솔이 다른 클레임을 쓰게 하세요(--oidc-username-claim=sub).",
        ),
        "reservedName": (
            "system:으로 시작하는 이름은 쿠버네티스의 것입니다.",
            "--oidc-username-prefix나 다른 클레임(--oidc-username-claim)을 지정하세요.",
        ),
        "notInGroup": ("{user} 사용자는 콘솔을 열 수 있는 그룹에 없습니다.", "그룹에 넣어 달라고 요청하세요."),
        "mayNotLook": (
            "{user} 사용자는 로그인했지만 콘솔을 열 수 없습니다. 콘솔은 모든 네임스페이스를 보여 줍니다.",
            "볼 권한을 요청하세요. 관리자는 다음 명령으로 권한을 줍니다.",
        ),
        "tokenNotTrusted": (
            "쿠버네티스 API가 이 신원 제공자의 토큰을 받아들이지 않습니다.",
            "API 서버를 --oidc-issuer-url, --oidc-client-id로 시작하거나 "
            "콘솔을 --oidc-identity=impersonate로 시작하세요.",
        ),
        "mayNotImpersonate": (
            "콘솔이 사용자를 대신할 수 없습니다.",
            "콘솔의 서비스 어카운트에 users와 groups에 대한 impersonate 권한이 필요합니다. "
            "--set console.oidc.identity=impersonate로 설치하세요.",
        ),
        "kubernetesUnavailable": ("볼 수 있는 범위를 쿠버네티스 API가 답하지 않았습니다.", "잠시 뒤 다시 시도하세요."),
        "tooLarge": (
            "토큰이 쿠키에 담기에는 너무 큽니다.",
            "제공자가 그룹이나 클레임을 덜 보내게 하거나 콘솔을 --oidc-identity=impersonate로 시작하세요.",
        ),
    },
}
