"""Function words of a few languages, by code, as they are written (lower case, with accents).

They tell languages apart (`text.main_script`) and never begin or end a mined phrase. Short on
purpose: a missing word costs a poor phrase, a wrong one costs a good phrase.
"""

from __future__ import annotations

_LISTED = {
    "en": """a all also an and any are as at be been but by can could do does for from had has have
        he her his how i if in into is it its just me more most my no nor not of off on only or our
        out over per she so some such than that the their them then there these they this those to
        too under up us use used uses using via was we were what when where which while who will
        with within without would you your""",
    "de": """als am an auch auf aus bei bis das dass dem den der des die durch ein eine einem einen
        einer es für gegen hat ich im in ist ja mit nach nicht noch nur oder ohne sich sie sind so
        über um und unter vom von vor war was wie wird zu zum zur""",
    "fr": """à au aux avec ce ces cette d dans de des du elle en est et eux il je l la le les leur
        lui mais ne nos notre nous on ou où par pas plus pour qu que qui sa sans se ses son sont
        sous sur un une vos votre vous y""",
    "es": """a al como con de del donde e el ella en es esta este la las lo los más mi muy no o para
        pero por que se sin sobre son su sus te tu u un una y ya""",
    "it": """a ad agli ai al alla alle anche che chi con d da dal dalla dei del dell della delle di
        e è gli i il in l la le lo ma nel nella non o per più se senza si su sul sulla tra un una
        uno""",
    "pt": """a à ao aos as com como da das de do dos e é em entre já mais mas na não nas no nos o os
        ou para pela pelo por que se sem seu sua são um uma""",
    "nl": """aan als bij dat de deze die dit door een en er het ik in is je maar met naar niet nog
        of om onder ook op over te tot uit van voor was wat wordt zijn zonder""",
    "ru": """а без был быть в во все вы да для до его ее ещё же за и из или их к как ко на не но о
        об от по под при с со так то у что это я""",
}

STOP_WORDS = {language: frozenset(listed.split()) for language, listed in _LISTED.items()}
