"""Word lists that documents are made of, one :class:`Lexicon` a language."""

from __future__ import annotations

import attrs


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@attrs.frozen
class Lexicon:
    """Words and names of one language.

    Attributes:
        words: common words, for strings and keys of low entropy.
        given, family: parts of personal names.
        cities, streets, products, statuses, units: what records are about.
        remarks: sentences of a form's free-text field; some need escaping in JSON.
        join, name: what stands between words, and the form of a personal name.
        containers, lists: keys of nested objects and of arrays of objects.
    """

    words: tuple[str, ...]
    given: tuple[str, ...]
    family: tuple[str, ...]
    cities: tuple[str, ...]
    streets: tuple[str, ...]
    products: tuple[str, ...]
    statuses: tuple[str, ...]
    units: tuple[str, ...]
    remarks: tuple[str, ...]
    join: str
    name: str
    containers: tuple[str, ...]
    lists: tuple[str, ...]


EN = Lexicon(
    words=_list(
        "apple anchor autumn basket bird board bottle branch bread bridge brush bucket button cable camera candle canvas carbon castle "
        "chain chair circle cloud coast coffee copper corner cotton cradle crystal curtain desert diamond dinner dragon drum eagle earth "
        "engine evening fabric feather fence field finger flame flower forest frame garden glass gravel guitar hammer harbor honey "
        "horizon hunter island jacket jungle kettle kitchen ladder lake lamp leather lemon letter lion machine market meadow metal "
        "mirror monkey morning mountain needle ocean onion orange paper pepper pillow planet pocket potato rabbit rain ribbon river "
        "rocket roof rope saddle sand school shadow silver spring station stone storm street sugar summer sunset table temple thread "
        "tiger timber tower train tunnel valley velvet village violin wagon water weather whale wheat wheel window winter wolf wood"
    ),
    given=_list(
        "Ada Amir Bela Carla Chen Dana Elif Emil Farah Gita Hugo Ines Ivan Jonas Kofi Lena Mara Nils Olga "
        "Priya Rosa Samir Tove Yuki"
    ),
    family=_list(
        "Adler Bauer Castro Dubois Eriksen Fischer Garcia Haddad Ito Jansen Kumar Larsen Moreau Novak Okafor Petrov Quinn Rossi Silva "
        "Tanaka Urban Vargas Weber Zhang"
    ),
    cities=_list(
        "Accra Bergen Cusco Dublin Essen Florence Geneva Hobart Izmir Jakarta Kyoto Lima Malmo Nairobi Oslo "
        "Porto Quito Riga Turin Zagreb"
    ),
    streets=(
        "Mill Lane", "Station Road", "Oak Avenue", "Harbour Street", "King Square", "Chapel Hill", "Garden Row", "North Gate",
        "River Walk",
    ),
    products=(
        "desk lamp", "steel bottle", "rain jacket", "USB cable", "tea kettle", "wool scarf", "bike pump", "photo frame",
        "garden hose", "wall clock",
        "paper tray", "running shoes", "oak shelf", "travel mug",
    ),
    statuses=_list("open closed pending shipped paid draft blocked archived returned ready"),
    units=_list("kg cm pcs box litre pair set roll"),
    remarks=(
        "Call before delivery.", "Left at the front desk.", "Customer asked for a refund.", 'Marked "fragile" on two sides.',
        "See page 4 of the contract.",
        "Second attempt\nNobody was at home.", "Path is C:\\data\\in, not /data/in.", "Paid in cash; receipt #17.",
        "Do not stack.", "Color differs slightly.",
        "Width: 40 cm\tHeight: 25 cm", "Renew in March & tell the team.",
    ),
    join=" ",
    name="{given} {family}",
    containers=_list("address owner settings shipping contact billing device location limits source profile options"),
    lists=_list("items orders events members entries payments steps versions"),
)  # fmt: skip

ZH = Lexicon(
    words=_list(
        "苹果 铁锚 秋天 篮子 小鸟 木板 瓶子 树枝 面包 大桥 刷子 水桶 纽扣 电缆 相机 蜡烛 画布 城堡 链条 椅子 圆圈 白云 "
        "海岸 咖啡 铜线 角落 棉花 摇篮 水晶 窗帘 沙漠 钻石 "
        "晚餐 大鼓 老鹰 泥土 引擎 傍晚 布料 羽毛 栅栏 田野 手指 火焰 花朵 森林 相框 花园 玻璃 吉他 锤子 港湾 蜂蜜 "
        "地平线 猎人 岛屿 夹克 丛林 水壶 厨房 梯子 湖泊 台灯 皮革 "
        "柠檬 信件 狮子 机器 市场 草地 金属 镜子 猴子 早晨 高山 海洋 洋葱 橙子 纸张 胡椒 枕头 行星 口袋 土豆 兔子 雨水 "
        "丝带 河流 火箭 屋顶 绳子 马鞍 沙子 学校 影子 白银 春天 "
        "车站 石头 暴风 街道 白糖 夏天 日落 桌子 寺庙 老虎 木材 高塔 火车 隧道 山谷 村庄 提琴 天气 鲸鱼 小麦 车轮 窗户 冬天 灰狼"
    ),
    given=_list("伟 芳 娜 敏 静 强 磊 洋 艳 勇 军 杰 娟 涛 明 超 秀兰 建国 晓东 文博 雨桐 思远 子涵 佳怡"),
    family=_list("王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林 何 郭 马 罗 梁 宋 郑 谢"),
    cities=_list("北京 上海 广州 深圳 成都 杭州 武汉 西安 南京 重庆 苏州 天津 长沙 青岛 昆明 厦门 哈尔滨 乌鲁木齐"),
    streets=_list("人民路 解放路 中山路 建设大道 和平街 胜利路 文化路 新华街 长江路 花园路"),
    products=_list("台灯 保温杯 雨衣 数据线 电热水壶 羊毛围巾 打气筒 相框 浇水管 挂钟 文件架 跑鞋 书架 旅行包"),
    statuses=_list("未处理 已关闭 待审核 已发货 已付款 草稿 已冻结 已归档 已退货 就绪"),
    units=_list("千克 厘米 件 箱 升 双 套 卷"),
    remarks=(
        "送货前请先打电话。", "已放在前台。", "客户要求退款。", '包装上写着"易碎"。', "见合同第4页。", "第二次派送\n家中无人。",
        "路径是 C:\\data\\in,不是 /data/in。",
        "现金付款,收据17号。", "请勿堆放。", "颜色略有不同。", "宽:40厘米\t高:25厘米", "三月续约,并通知同事。",
    ),
    join="",
    name="{family}{given}",
    containers=_list("地址 负责人 设置 配送 联系方式 账单 设备 位置 限额 来源 档案 选项"),
    lists=_list("商品 订单 事件 成员 条目 付款 步骤 版本"),
)  # fmt: skip

LEXICONS = {"en": EN, "zh": ZH}
