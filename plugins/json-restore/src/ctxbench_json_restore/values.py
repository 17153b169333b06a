"""Keys and values of generated documents, with as much entropy as asked for."""

from __future__ import annotations

import random
import uuid
from typing import Any

import attrs

ENTROPIES = ("words", "realistic", "random")
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@attrs.frozen
class Words:
    """What the values of one language are made of."""

    keys: tuple[str, ...]
    common: tuple[str, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    cities: tuple[str, ...]
    products: tuple[str, ...]
    states: tuple[str, ...]
    join: str


EN = Words(
    keys=tuple(
        "id|name|title|status|type|price|count|city|country|email|phone|created|updated|owner|notes|tags|items|score|rank|color|size|weight|"
        "height|width|currency|language|version|source|target|region|address|street|zip|author|editor|reviewer|priority|category|color_code|"
        "discount|tax|total|balance|limit|offset|page|label|level|group|team|project|task|milestone|deadline|budget|cost|supplier|"
        "warehouse|shelf|batch|serial|model|brand|material|origin|shipped|received|returned|active|verified|archived|public|"
        "default|parent|children|options|settings|details|contact|history|metrics|summary|comment|reason|result|payload".split("|")
    ),
    common=tuple(
        "river|stone|garden|window|market|winter|letter|bridge|forest|engine|silver|planet|summer|valley|mirror|island|castle|pencil|"
        "basket|rocket|butter|candle|dragon|feather|guitar|hammer|jacket|kitchen|ladder|meadow|needle|orange|pepper|quilt|ribbon|saddle|"
        "ticket|umbrella|violin|walnut|yellow|zebra|anchor|bottle|carpet|desert|escape|flower|ginger|harbor".split("|")
    ),
    first_names=tuple(
        "Ada|Ben|Clara|David|Elena|Felix|Grace|Hugo|Irene|Jonas|Kira|Liam|Maya|Noah|Olga|Pavel|Rosa|Simon|Tara|Victor".split("|")
    ),
    last_names=tuple(
        "Adler|Brandt|Castillo|Dubois|Eriksen|Ferraro|Gupta|Hansen|Ivanov|Jensen|Kowalski|Lopez|Moreau|Novak|Okafor|Park".split("|")
    ),
    cities=tuple("Lisbon|Oslo|Kyoto|Quito|Nairobi|Dublin|Vienna|Hanoi|Lima|Perth|Riga|Tunis|Bergen|Porto|Seville|Utrecht".split("|")),
    products=tuple("steel bolt|oak table|desk lamp|rain coat|tea kettle|bike pump|wool scarf|glass jar|wall clock|hand drill".split("|")),
    states=tuple("open|closed|pending|shipped|draft|approved|rejected|paid|overdue|archived".split("|")),
    join=" ",
)

ZH = Words(
    keys=tuple(
        "编号|名称|标题|状态|类型|价格|数量|城市|国家|邮箱|电话|创建时间|更新时间|负责人|备注|标签|项目|分数|排名|颜色|尺寸|重量|高度|宽度|货币|"
        "语言|版本|来源|目标|地区|地址|街道|作者|编辑|优先级|类别|折扣|税额|总计|余额|上限|页码|等级|小组|团队|任务|期限|预算|成本|供应商|仓库|"
        "货架|批次|序列号|型号|品牌|材料|产地|已发货|已收货|已退回|有效|已验证|公开|默认|选项|设置|详情|联系人|历史|指标|摘要|原因|结果".split(
            "|"
        )
    ),
    common=tuple(
        "河流|石头|花园|窗户|市场|冬天|信件|桥梁|森林|引擎|白银|行星|夏天|山谷|镜子|岛屿|城堡|铅笔|篮子|火箭|黄油|蜡烛|羽毛|吉他|锤子|夹克".split(
            "|"
        )
    ),
    first_names=tuple("伟|芳|娜|敏|静|强|磊|洋|艳|勇|军|杰|娟|涛|明|超|霞|平|刚|桂英".split("|")),
    last_names=tuple("王|李|张|刘|陈|杨|赵|黄|周|吴|徐|孙|胡|朱|高|林".split("|")),
    cities=tuple("北京|上海|广州|成都|杭州|西安|南京|武汉|青岛|厦门|昆明|苏州|长沙|大连|拉萨|桂林".split("|")),
    products=tuple("钢制螺栓|橡木桌|台灯|雨衣|茶壶|打气筒|羊毛围巾|玻璃罐|挂钟|手电钻".split("|")),
    states=tuple("进行中|已关闭|待处理|已发货|草稿|已批准|已拒绝|已付款|逾期|已归档".split("|")),
    join="",
)

WORDS = {"en": EN, "zh": ZH}


def text(rng: random.Random, entropy: str, language: str) -> str:
    """A string value."""
    words = WORDS[language]
    if entropy == "words":
        return words.join.join(rng.choice(words.common) for _ in range(rng.randint(1, 4)))
    if entropy == "random":
        kind = rng.randrange(3)
        if kind == 0:
            return f"{rng.getrandbits(64):016x}"
        if kind == 1:
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        return "".join(rng.choice(_BASE64) for _ in range(rng.randint(8, 20)))
    return _realistic(rng, words)


def _realistic(rng: random.Random, words: Words) -> str:
    first, last = rng.choice(words.first_names), rng.choice(words.last_names)
    name = f"{last}{first}" if words is ZH else f"{first} {last}"
    date = f"20{rng.randrange(10, 40)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    user = f"{rng.choice(EN.first_names)}.{rng.choice(EN.last_names)}".lower()
    return rng.choice(
        (
            name,
            date,
            f"{date}T{rng.randrange(24):02}:{rng.randrange(60):02}:00Z",
            f"{user}@example.{rng.choice(('com', 'org', 'net'))}",
            f"+{rng.randrange(10, 99)} {rng.randrange(100, 999)} {rng.randrange(100_000, 999_999)}",
            rng.choice(words.cities),
            rng.choice(words.products),
            rng.choice(words.states),
            f"{rng.choice('ABCDEFGH')}{rng.randrange(100, 999)}-{rng.randrange(1000, 9999)}",
            f"https://example.com/{rng.choice(EN.common)}/{rng.randrange(1, 9999)}",
        )
    )


def number(rng: random.Random, entropy: str) -> int | float:
    """A number value: whole, negative or with two decimals; with up to 15 digits where entropy is ``random``."""
    if entropy == "random":
        return rng.choice((rng.randrange(10**15), -rng.randrange(10**9), round(rng.random() * 10**6, 4)))
    return rng.choice((rng.randrange(10), rng.randrange(1000), rng.randrange(10_000), -rng.randrange(100), rng.randrange(100_000) / 100))


def scalar(rng: random.Random, entropy: str, language: str) -> Any:
    """A string (half of the time), a number, a boolean or null."""
    draw = rng.random()
    if draw < 0.5:
        return text(rng, entropy, language)
    if draw < 0.8:
        return number(rng, entropy)
    return rng.random() < 0.5 if draw < 0.93 else None


def key(rng: random.Random, language: str, taken: set[str]) -> str:
    """A key that is not taken yet; numbered once the plain ones are used up."""
    words = WORDS[language].keys
    for _ in range(8):
        name = rng.choice(words)
        if name not in taken:
            return name
    while True:
        name = f"{rng.choice(words)}_{rng.randrange(1, 10_000)}"
        if name not in taken:
            return name
