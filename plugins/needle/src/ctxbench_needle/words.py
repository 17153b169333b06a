"""Words and sentence patterns that haystacks and needles are made of.

A slot in braces takes a word of that list; with a capital it begins a sentence. Square brackets stand around what the reference
tokenizer may join across a slot's edge, so that it has to be counted as a whole; they are no part of the text. No list of the haystack
shares a word with the lists of the needles.
"""

from __future__ import annotations

import attrs


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


@attrs.frozen
class Language:
    """What one language's texts are made of.

    Attributes:
        slots: the words of each slot.
        patterns: sentences with slots and brackets.
        short: sentences of a few tokens, which make lengths exact.
        join: what stands between sentences.
        stop: what ends one.
        colors, animals: the two halves of a needle's key.
        secrets: words that the values of word needles are composed of, two each.
        between: what stands between the two words of a value.
    """

    slots: dict[str, tuple[str, ...]]
    patterns: tuple[str, ...]
    short: tuple[str, ...]
    join: str
    stop: str
    colors: tuple[str, ...]
    animals: tuple[str, ...]
    secrets: tuple[str, ...]
    between: str


EN = Language(
    slots={
        "place": _split(
            "the harbour|the old library|the market square|the north gate|the railway yard|the greenhouse|the museum cellar|the river bank"
            "|the town hall|the bakery|the observatory|the print shop|the lighthouse|the orchard|the school kitchen|the post office"
            "|the quarry|the theatre|the ferry landing|the clock tower|the glass works|the archive|the repair shed|the upper meadow"
            "|the chapel yard|the fish stalls|the customs house|the dry dock|the mill pond|the tram depot"
        ),
        "person": _split(
            "a carpenter|the caretaker|two students|the night watch|an old sailor|the gardener|a visiting engineer|the choir|a young clerk"
            "|the station master|three cousins|the pharmacist|a retired judge|the map maker|a courier|the beekeeper|the printer|the cook"
            "|a guide from the valley|a tired reporter|the blacksmith|a violin teacher|the ferryman|both sisters|the innkeeper"
        ),
        "thing": _split(
            "a box of lenses|the broken pump|a stack of letters|the spare key|a crate of apples|the long ladder|a brass bell"
            "|a roll of canvas|the weather log|the second lamp|a chest of tools|the new timetable|a bundle of nets|the painted sign"
            "|a bag of lime|the account book|a coil of rope|the blue curtain|a pair of scales|the window frame|the wooden bench"
            "|a jar of nails|the torn flag|a sack of flour|the iron stove|a tray of seedlings|the music stand|a pile of bricks"
        ),
        "quality": _split(
            "quiet|crowded|damp|bright|cold|dusty|orderly|windy|empty|noisy|warm|dim|narrow|cheerful|grey|calm|muddy|slippery|fragrant|bare"
        ),
        "did": _split(
            "carried|inspected|sold|repaired|measured|lost|found|painted|borrowed|returned|weighed|cleaned|hid|counted|moved|wrapped|tested"
            "|described|admired|dropped"
        ),
        "time": _split(
            "before dawn|at noon|after the rain|late in the evening|on the first day of spring|during the strike|while the tide was out"
            "|between two trains|early that week|by lamplight|a little later|towards midnight|on a holiday|when the bells rang|in the thaw"
            "|just before closing|as the fog lifted"
        ),
    },
    patterns=(
        "{Time}, {person} {did} {thing}.",
        "{Place} was {quality} {time}.",
        "Nobody at {place} noticed that {person} {did} {thing}.",
        "{Person} went from {place} to {place} with {thing}.",
        "It was {quality} and {quality} near {place}.",
        "{Thing} stayed at {place}.",
        "{Person} {did} {thing}, and {person} {did} it again {time}.",
        "{Time} it grew {quality}.",
        "Why {person} {did} {thing} was never explained.",
        "They waited {time}.",
        "{Person} asked {person} about {thing}, but got no answer.",
        "The road to {place} was {quality}, so {person} took another way.",
        "According to {person}, {thing} belonged to {person}.",
        "Most people preferred {place} to {place}.",
        "Whoever {did} {thing} must have known {place} well.",
        "Rain fell on {place}, and {person} stayed inside.",
        "{Person} wrote down what happened at {place} {time}.",
        "Behind {place} stood {thing}, {quality} and forgotten.",
        "Between {place} and {place} there was only {thing}.",
        "{Person} promised to bring {thing} {time}.",
        "Some say that {person} {did} {thing} only because {place} was {quality}.",
        "{Thing} and {thing} were kept at {place}.",
        "Later, {person} could not remember who {did} {thing}.",
        "{Time}, {place} looked {quality} again.",
    ),
    short=(
        "Nobody spoke.",
        "The wind turned.",
        "Time passed.",
        "It was late.",
        "Lamps were lit.",
        "A door closed.",
        "The street was quiet.",
        "Nothing more was said.",
        "Somewhere a dog barked.",
        "The kettle began to sing.",
        "All of them went home.",
    ),
    join=" ",
    stop=".",
    colors=_split("amber|velvet|silver|crimson|ivory|cobalt|golden|jade|scarlet|copper|violet|ebony|pearl|olive|indigo|coral"),
    animals=_split("falcon|otter|heron|badger|lynx|marten|raven|salmon|tortoise|weasel|ibis|gecko|bison|magpie|walrus|cricket"),
    secrets=_split(
        "lantern|harvest|compass|thistle|anchor|pebble|saffron|trumpet|glacier|walnut|mirror|cactus|velcro|domino|paprika|tunnel|orchid"
        "|marble|sandal|turbine|whisper|zephyr|pigment|saddle|juniper|hammock|flannel|quartz|biscuit|rivet|monsoon|parsley|blanket|cobweb"
        "|dynamo|emerald|feather|goblet|helmet|icicle|jigsaw|kimono|locket|magnet|nutmeg|oyster|pillow|quiver|ribbon|spinach|tripod|umbrella"
        "|acorn|almond|anvil|bamboo|banjo|basil|beacon|bonnet|bracelet|buckle|cabbage|carpet|cedar|cello|cherry|chimney|cinnamon|clover"
        "|coconut|crayon|cymbal|daisy|diary|dumpling|eclipse|fiddle|fossil|garlic|ginger|granite|guitar|hazelnut|hexagon|igloo|jasmine"
        "|kayak|kettledrum|lavender|lemonade|lizard|mandolin|maple|melon|mosaic|mustard|napkin|nectar|noodle|oatmeal|obelisk|octagon|onyx"
        "|pelican|pepper|pumpkin|pyramid|radish|raspberry|sapphire|satchel|scooter|sequin|sparrow|sundial|tambourine|teapot|topaz|trellis"
        "|tulip|vanilla|volcano|waffle|yogurt|zipper"
    ),
    between="-",
)

ZH = Language(
    slots={
        "place": _split(
            "港口|旧图书馆|集市广场|北门|铁路货场|温室|博物馆地下室|河岸|市政厅|面包房|天文台|印刷厂|灯塔|果园|学校厨房|邮局|采石场|剧院|渡口|钟楼|玻璃厂|档案室|修理棚|山上的草地|船坞|磨坊"
        ),
        "person": _split(
            "一位木匠|看门人|两个学生|守夜人|老水手|园丁|来访的工程师|合唱团|年轻的职员|站长|三个表兄弟|药剂师|退休的法官|制图师|信使|养蜂人|铁匠|摆渡人|客栈老板|提琴老师|厨师|疲惫的记者"
        ),
        "thing": _split(
            "一箱镜片|坏掉的水泵|一叠信件|备用钥匙|一筐苹果|长梯子|一口铜钟|气象日志|一卷帆布|第二盏灯|一箱工具|新的时刻表|一捆渔网|彩绘招牌|账本|一盘绳子|蓝色窗帘|一架天平|木头长凳|一罐钉子|破旧的旗子|一袋面粉|铁炉子|一堆砖头"
        ),
        "quality": _split("安静|拥挤|潮湿|明亮|寒冷|积满灰尘|整洁|空荡|嘈杂|温暖|昏暗|狭窄|热闹|泥泞|湿滑|冷清"),
        "did": _split("搬走了|检查了|卖掉了|修好了|测量了|弄丢了|找到了|粉刷了|借走了|归还了|称了称|清洗了|藏起了|清点了|描述了|包好了"),
        "time": _split(
            "黎明之前|正午时分|雨后|深夜|春天的第一天|罢工期间|退潮的时候|两班火车之间|那一周的早些时候|灯光下|过了一会儿|将近午夜|节日那天|钟声响起时|快打烊的时候|雾散之后"
        ),
    },
    patterns=(
        "{time}，{person}[{did}{thing}]。",
        "{place}{time}显得很{quality}。",
        "{place}[里没有人注意到{person}][{did}{thing}]。",
        "{person}带着{thing}从{place}走到{place}。",
        "{place}附近又{quality}又{quality}。",
        "{thing}一直放在{place}。",
        "谁也说不清为什么{person}[{did}{thing}]。",
        "他们等到{time}。",
        "{time}，四周变得{quality}。",
        "{person}向{person}打听{thing}，却没有得到回答。",
        "去{place}的路很{quality}，{person}只好绕道而行。",
        "据{person}说，{thing}[是{person}的]。",
        "大多数人喜欢{place}，不喜欢{place}。",
        "雨落在[{place}上]，{person}待在屋里。",
        "{person}记下了{place}{time}发生的事。",
        "{place}和{place}[之间只有{thing}]。",
        "{person}答应{time}把{thing}带来。",
        "有人说{person}[{did}{thing}]，只是因为{place}[太{quality}]。",
        "{thing}和{thing}都存放在{place}。",
        "后来，{person}记不起是谁[{did}{thing}]。",
    ),
    short=(
        "没人说话。",
        "风向变了。",
        "时间过去了。",
        "天色已晚。",
        "灯亮了。",
        "门关上了。",
        "街上很静。",
        "大家都回家了。",
        "远处有狗叫。",
    ),
    join="",
    stop="。",
    colors=_split("琥珀|银色|深红|象牙|钴蓝|金色|翠绿|猩红|紫铜|紫色|乌黑|珍珠|橄榄|靛蓝|珊瑚|雪白"),
    animals=_split("猎鹰|水獭|苍鹭|獾|猞猁|貂|渡鸦|鲑鱼|陆龟|黄鼠狼|朱鹭|壁虎|野牛|喜鹊|海象|蟋蟀"),
    secrets=_split(
        "灯笼|收获|罗盘|蓟草|船锚|卵石|藏红花|小号|冰川|核桃|镜子|仙人掌|骨牌|隧道|兰花|弹珠|凉鞋|涡轮|低语|颜料|水壶|杜松|吊床|石英|饼干|季风|毛毯|翡翠|羽毛|头盔|拼图|磁铁|牡蛎|枕头|丝带|菠菜|雨伞|算盘|蜡烛|沙漏"
        "|菠萝|草莓|樱桃|葡萄|西瓜|香蕉|柠檬|桔子|土豆|辣椒|黄瓜|茄子|南瓜|芹菜|蘑菇|豆腐|面条|酱油|砂糖|蜂蜜|茶壶|筷子|勺子|毛笔|砚台|宣纸"
        "|印章|风筝|陀螺|琵琶|古筝|二胡|口琴|钢琴|吉他|手鼓|围棋|骰子|手套|围巾|皮带|袜子|披风|项链|戒指|耳环|纽扣|拉链|火箭|卫星|彗星|流星"
        "|月食|彩虹|闪电|沙漠|草原|瀑布|火山|化石|贝壳"
    ),
    between="",
)

LANGUAGES = {"en": EN, "zh": ZH}
