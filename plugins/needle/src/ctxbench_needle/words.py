"""Word lists that haystacks and needles are made of."""

from __future__ import annotations

import attrs


@attrs.frozen
class Vocabulary:
    """What the sentences of one language are made of."""

    places: tuple[str, ...]
    people: tuple[str, ...]
    things: tuple[str, ...]
    qualities: tuple[str, ...]
    actions: tuple[str, ...]
    times: tuple[str, ...]
    colors: tuple[str, ...]
    animals: tuple[str, ...]
    secret_words: tuple[str, ...]


EN = Vocabulary(
    places=tuple(
        "the harbour|the old library|the market square|the north gate|the railway yard|the greenhouse|the museum cellar|the river bank|the "
        "town hall|the bakery|the observatory|the print shop|the lighthouse|the orchard|the school kitchen|the post office|the quarry|the "
        "theatre|the ferry landing|the clock tower|the glass works|the archive|the repair shed|the upper meadow".split("|")
    ),
    people=tuple(
        "a carpenter|the caretaker|two students|the night watch|an old sailor|the gardener|a visiting engineer|the choir|a young clerk|the "
        "station master|three cousins|the pharmacist|a retired judge|the map maker|a courier|the beekeeper|a guide from the valley|the "
        "printer|the cook|a tired reporter".split("|")
    ),
    things=tuple(
        "a box of lenses|the broken pump|a stack of letters|the spare key|a crate of apples|the long ladder|a brass bell|the weather log|a "
        "roll of canvas|the second lamp|a chest of tools|the new timetable|a bundle of nets|the painted sign|a bag of lime|the account "
        "book|a coil of rope|the blue curtain|a pair of scales|the window frame".split("|")
    ),
    qualities=tuple("quiet|crowded|damp|bright|cold|dusty|orderly|windy|empty|noisy|warm|dim|narrow|cheerful|grey|calm".split("|")),
    actions=tuple("carried|inspected|sold|repaired|measured|lost|found|painted|borrowed|returned|weighed|cleaned|hid|counted".split("|")),
    times=tuple(
        "before dawn|at noon|after the rain|late in the evening|on the first day of spring|during the strike|while the tide was "
        "out|between two trains|early that week|by lamplight|a little later|towards midnight".split("|")
    ),
    colors=tuple("amber|velvet|silver|crimson|ivory|cobalt|golden|jade|scarlet|copper|violet|ebony|pearl|olive|indigo|coral".split("|")),
    animals=tuple("falcon|otter|heron|badger|lynx|marten|raven|salmon|tortoise|weasel|ibis|gecko|bison|magpie|walrus|cricket".split("|")),
    secret_words=tuple(
        "lantern|harvest|compass|thistle|anchor|pebble|saffron|trumpet|glacier|walnut|mirror|cactus|velcro|domino|paprika|tunnel|orchid|"
        "marble|sandal|turbine|whisper|zephyr|pigment|kettle|juniper|hammock|flannel|quartz|biscuit|rivet|monsoon|parsley".split("|")
    ),
)

ZH = Vocabulary(
    places=tuple(
        "港口|旧图书馆|集市广场|北门|铁路货场|温室|博物馆地下室|河岸|市政厅|面包房|天文台|印刷厂|灯塔|果园|学校厨房|邮局|采石场|剧院|渡口|钟楼".split(
            "|"
        )
    ),
    people=tuple(
        "一位木匠|看门人|两个学生|守夜人|老水手|园丁|来访的工程师|合唱团|年轻的职员|站长|三个表兄弟|药剂师|退休的法官|制图师|信使|养蜂人".split(
            "|"
        )
    ),
    things=tuple(
        "一箱镜片|坏掉的水泵|一叠信件|备用钥匙|一筐苹果|长梯子|一口铜钟|气象日志|一卷帆布|第二盏灯|一箱工具|新的时刻表|一捆渔网|彩绘招牌|账本|一盘绳子".split(
            "|"
        )
    ),
    qualities=tuple("安静|拥挤|潮湿|明亮|寒冷|积满灰尘|整洁|多风|空荡|嘈杂|温暖|昏暗|狭窄|热闹".split("|")),
    actions=tuple("搬走了|检查了|卖掉了|修好了|测量了|弄丢了|找到了|粉刷了|借走了|归还了|称了称|清洗了|藏起了|清点了".split("|")),
    times=tuple(
        "黎明之前|正午时分|雨后|深夜|春天的第一天|罢工期间|退潮的时候|两班火车之间|那一周的早些时候|灯光下|过了一会儿|将近午夜".split("|")
    ),
    colors=tuple("琥珀|银色|深红|象牙|钴蓝|金色|翠绿|猩红|紫铜|紫色|乌黑|珍珠|橄榄|靛蓝|珊瑚|雪白".split("|")),
    animals=tuple("猎鹰|水獭|苍鹭|獾|猞猁|貂|渡鸦|鲑鱼|陆龟|黄鼠狼|朱鹭|壁虎|野牛|喜鹊|海象|蟋蟀".split("|")),
    secret_words=tuple(
        "灯笼|收获|罗盘|蓟草|船锚|卵石|藏红花|小号|冰川|核桃|镜子|仙人掌|骨牌|隧道|兰花|弹珠|凉鞋|涡轮|低语|颜料|水壶|杜松|吊床|石英|饼干|季风".split(
            "|"
        )
    ),
)

VOCABULARIES = {"en": EN, "zh": ZH}
