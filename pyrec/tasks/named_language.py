"""Languages by name, for catalogs with a column of them: "books in spanish", "西班牙语的小说".

Codes are those of ISO 639 (https://www.loc.gov/standards/iso639-2/php/code_list.php).
"""

from __future__ import annotations

import re

from pyrec.survey import Named, Survey
from pyrec.text import fold

# English name, Chinese name without 语, codes.
_LISTED = """english 英 en eng|spanish 西班牙 es spa|french 法 fr fre fra|german 德 de ger deu
|italian 意大利 it ita|portuguese 葡萄牙 pt por|russian 俄 ru rus|japanese 日 ja jpn
|chinese 中 zh chi zho|mandarin 汉 zh chi zho cmn|korean 韩 ko kor|arabic 阿拉伯 ar ara
|dutch 荷兰 nl dut nld|swedish 瑞典 sv swe|danish 丹麦 da dan|norwegian 挪威 no nor
|finnish 芬兰 fi fin|polish 波兰 pl pol|czech 捷克 cs cze ces|turkish 土耳其 tr tur
|greek 希腊 el gre ell|hindi 印地 hi hin|indonesian 印尼 id ind|romanian 罗马尼亚 ro rum ron
|hungarian 匈牙利 hu hun|vietnamese 越南 vi vie|thai 泰 th tha|hebrew 希伯来 he heb
|latin 拉丁 la lat
|persian 波斯 fa per fas|ukrainian 乌克兰 uk ukr|catalan 加泰罗尼亚 ca cat"""
_LANGUAGES = [entry.split() for entry in _LISTED.replace("\n", "").split("|")]
_ENGLISH = {entry[0]: entry for entry in _LANGUAGES}
_CHINESE = {entry[1]: entry for entry in _LANGUAGES}
_IN_ENGLISH = re.compile(
    rf"\b(?:(?:written |available )?in ({'|'.join(_ENGLISH)})"
    rf"|({'|'.join(_ENGLISH)})[- ]language)\b",
    re.IGNORECASE,
)
_IN_CHINESE = re.compile(
    rf"(?<![学教])(?:用)?({'|'.join(sorted(_CHINESE, key=len, reverse=True))})"
    r"(?:语|文)(?:写|版|原版)?的?(?!教|学|课|考|词)"
)


def named_language(text: str, survey: Survey) -> tuple[re.Match[str], Named] | None:
    """Return the language that a question asks for, where the catalog has it, and its place."""
    for column, values in survey.values.items():
        if not re.search(r"lang|语言|語言", column, re.IGNORECASE):
            continue
        for pattern, names in ((_IN_ENGLISH, _ENGLISH), (_IN_CHINESE, _CHINESE)):
            if match := pattern.search(text):
                said = next(group for group in match.groups() if group).lower()
                forms = {fold(form) for form in names[said]}
                held = [v for v in values if fold(v) in forms or fold(v).rstrip("语文") in forms]
                if held:
                    value = max(held, key=lambda v: values[v])
                    return match, Named(column, value, values[value])
    return None
