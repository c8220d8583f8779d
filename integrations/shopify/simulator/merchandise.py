"""What the demo shop sells, who buys there, and what its pages say: a merchant's content, not the product's texts."""

from __future__ import annotations

from typing import Final, NamedTuple

Words = dict[str, str]
LOCALES: Final = ("en", "ar", "he")
RTL: Final = frozenset({"ar", "he"})


class Item(NamedTuple):
    """One product: its drawing, family, price in agorot, options, and its name in three languages."""

    shape: str
    family: str
    price: int
    options: tuple[str, ...]
    en: str
    ar: str
    he: str

    def name(self, locale: str) -> str:
        return {"en": self.en, "ar": self.ar, "he": self.he}[locale]


FAMILIES: Final[dict[str, Words]] = {
    "table": {"en": "Table", "ar": "المائدة", "he": "שולחן"},
    "kitchen": {"en": "Kitchen", "ar": "المطبخ", "he": "מטבח"},
    "pantry": {"en": "Pantry", "ar": "المؤونة", "he": "מזווה"},
    "bath": {"en": "Bath", "ar": "الحمّام", "he": "רחצה"},
    "home": {"en": "Home", "ar": "البيت", "he": "בית"},
}

SIZES: Final = ("S", "M", "L")
COLOURS: Final = ("Sand", "Olive", "Sea")
OPTION_WORDS: Final[dict[str, Words]] = {
    "Sand": {"en": "Sand", "ar": "رملي", "he": "חול"},
    "Olive": {"en": "Olive", "ar": "زيتي", "he": "זית"},
    "Sea": {"en": "Sea", "ar": "بحري", "he": "ים"},
    "S": {"en": "Small", "ar": "صغير", "he": "קטן"},
    "M": {"en": "Medium", "ar": "وسط", "he": "בינוני"},
    "L": {"en": "Large", "ar": "كبير", "he": "גדול"},
    "250 g": {"en": "250 g", "ar": "٢٥٠ غ", "he": "250 גרם"},
    "500 g": {"en": "500 g", "ar": "٥٠٠ غ", "he": "500 גרם"},
}
WEIGHTS: Final = ("250 g", "500 g")

ITEMS: Final[tuple[Item, ...]] = (
    Item("bowl", "table", 8900, COLOURS, "Hand-thrown salad bowl", "سلطانية سلطة من الفخّار", "קערת סלט בעבודת יד"),
    Item("plate", "table", 5900, COLOURS, "Dinner plate", "صحن عشاء", "צלחת מנה עיקרית"),
    Item("plate", "table", 3900, COLOURS, "Mezze plate", "صحن مازة", "צלחת מזטים"),
    Item("mug", "table", 4500, COLOURS, "Morning mug", "كوب الصباح", "ספל בוקר"),
    Item("mug", "table", 3200, (), "Espresso cup", "فنجان إسبريسو", "ספל אספרסו"),
    Item("glass", "table", 2800, (), "Tea glass, set of six", "كاسات شاي، ستّ قطع", "שש כוסות תה"),
    Item("jug", "table", 11900, COLOURS, "Water jug", "إبريق ماء", "קנקן מים"),
    Item("cloth", "table", 14900, SIZES, "Linen tablecloth", "مفرش كتّان", "מפת פשתן"),
    Item("cloth", "table", 6900, COLOURS, "Napkins, set of four", "فوط مائدة، أربع قطع", "ארבע מפיות בד"),
    Item("pot", "kitchen", 9900, SIZES, "Copper coffee pot", "ركوة قهوة نحاسية", "פינג'אן נחושת"),
    Item("pot", "kitchen", 34900, SIZES, "Clay cooking pot", "قدر فخّار للطبخ", "סיר חרס"),
    Item("board", "kitchen", 12900, SIZES, "Olive wood board", "لوح تقطيع من خشب الزيتون", "קרש חיתוך מעץ זית"),
    Item("board", "kitchen", 4900, (), "Olive wood spoon", "ملعقة من خشب الزيتون", "כף מעץ זית"),
    Item("jar", "kitchen", 7900, SIZES, "Glass pantry jar", "مرطبان زجاجي", "צנצנת אחסון"),
    Item("bowl", "kitchen", 9500, (), "Mortar and pestle", "هاون ومدقّة", "מכתש ועלי"),
    Item("cloth", "kitchen", 7500, COLOURS, "Kitchen apron", "مريول مطبخ", "סינר מטבח"),
    Item("cloth", "kitchen", 3500, COLOURS, "Tea towel", "فوطة مطبخ", "מגבת מטבח"),
    Item("bottle", "pantry", 7200, (), "Olive oil, first press", "زيت زيتون بكر", "שמן זית כבישה ראשונה"),
    Item("jar", "pantry", 3400, WEIGHTS, "Za'atar blend", "خلطة زعتر", "תערובת זעתר"),
    Item("jar", "pantry", 2900, WEIGHTS, "Sumac", "سمّاق", "סומק"),
    Item("jar", "pantry", 5400, WEIGHTS, "Raw tahini", "طحينة خام", "טחינה גולמית"),
    Item("jar", "pantry", 6200, WEIGHTS, "Wildflower honey", "عسل أزهار برّية", "דבש פרחי בר"),
    Item("bag", "pantry", 5800, WEIGHTS, "Coffee with cardamom", "قهوة بالهيل", "קפה עם הל"),
    Item("bag", "pantry", 4200, WEIGHTS, "Medjool dates", "تمر مجهول", "תמרי מג'הול"),
    Item("jar", "pantry", 3900, WEIGHTS, "Date syrup", "دبس تمر", "סילאן"),
    Item("bag", "pantry", 3100, WEIGHTS, "Sage and mint tea", "شاي مرمية ونعنع", "תה מרווה ונענע"),
    Item("soap", "bath", 2600, (), "Olive oil soap", "صابون زيت الزيتون", "סבון שמן זית"),
    Item("soap", "bath", 2900, (), "Laurel soap", "صابون الغار", "סבון דפנה"),
    Item("bottle", "bath", 8400, (), "Rose water", "ماء ورد", "מי ורדים"),
    Item("bottle", "bath", 9900, (), "Almond body oil", "زيت لوز للجسم", "שמן שקדים לגוף"),
    Item("cloth", "bath", 11900, COLOURS, "Cotton bath towel", "منشفة حمّام قطنية", "מגבת רחצה מכותנה"),
    Item("cloth", "bath", 24900, SIZES, "Waffle bathrobe", "روب حمّام", "חלוק רחצה"),
    Item("bag", "bath", 3300, WEIGHTS, "Dead Sea salts", "أملاح البحر الميت", "מלחי ים המלח"),
    Item("candle", "home", 6400, COLOURS, "Beeswax candle", "شمعة شمع العسل", "נר דבורים"),
    Item("candle", "home", 8800, (), "Jasmine candle", "شمعة ياسمين", "נר יסמין"),
    Item("cushion", "home", 13900, COLOURS, "Embroidered cushion", "مخدّة مطرّزة", "כרית רקומה"),
    Item("basket", "home", 15900, SIZES, "Woven basket", "سلّة مجدولة", "סל קלוע"),
    Item("lamp", "home", 42900, (), "Paper table lamp", "مصباح طاولة ورقي", "מנורת שולחן מנייר"),
    Item("plant", "home", 7900, SIZES, "Potted rosemary", "إكليل جبل في أصيص", "רוזמרין בעציץ"),
    Item("cushion", "home", 39900, COLOURS, "Wool throw", "بطّانية صوف", "כיסוי צמר"),
)

STORY: Final[dict[str, Words]] = {
    "table": {
        "en": "Fired in small batches in the Galilee. No two pieces are quite alike. Dishwasher safe.",
        "ar": "تُشوى بكميات صغيرة في الجليل، فلا تتطابق قطعتان تمامًا. آمنة في الجلّاية.",
        "he": "נשרף בסדרות קטנות בגליל. אין שתי יחידות זהות. מתאים למדיח.",
    },
    "kitchen": {
        "en": "Made to be used every day and to get better with it.",
        "ar": "صُنعت للاستعمال اليومي، وتزداد جمالًا معه.",
        "he": "נעשה לשימוש יומיומי, ומשתבח איתו.",
    },
    "pantry": {
        "en": "From this season's harvest, packed by hand. Keep in a cool, dark place.",
        "ar": "من محصول هذا الموسم، معبّأ يدويًا. يُحفظ في مكان بارد ومظلم.",
        "he": "מיבול העונה, נארז ביד. לשמור במקום קריר וחשוך.",
    },
    "bath": {
        "en": "Nothing in it that you would not cook with. Kind to sensitive skin.",
        "ar": "لا شيء فيه لا يصلح للمطبخ. لطيف على البشرة الحسّاسة.",
        "he": "אין בו דבר שלא נכנס למטבח. נעים גם לעור רגיש.",
    },
    "home": {
        "en": "A quiet thing for a room you like to sit in.",
        "ar": "قطعة هادئة لغرفة تحلو فيها الجلسة.",
        "he": "דבר שקט לחדר שנעים לשבת בו.",
    },
}

TEXTS: Final[dict[str, Words]] = {
    "shop": {"en": "Bustan", "ar": "بستان", "he": "בוסתן"},
    "tagline": {
        "en": "Things for the table, the kitchen and the rooms around them",
        "ar": "أشياء للمائدة والمطبخ وما حولهما",
        "he": "דברים לשולחן, למטבח ולחדרים שסביבם",
    },
    "intro": {
        "en": "Made by small workshops between the mountains and the sea. Sent within two days.",
        "ar": "من مشاغل صغيرة بين الجبل والبحر. نرسل خلال يومين.",
        "he": "מבתי מלאכה קטנים בין ההר לים. יוצא לדרך תוך יומיים.",
    },
    "all": {"en": "Everything", "ar": "الكل", "he": "הכול"},
    "cart": {"en": "Cart", "ar": "السلّة", "he": "סל"},
    "account": {"en": "Account", "ar": "الحساب", "he": "חשבון"},
    "sign_in": {"en": "Sign in", "ar": "تسجيل الدخول", "he": "כניסה"},
    "sign_out": {"en": "Sign out", "ar": "تسجيل الخروج", "he": "יציאה"},
    "pick_customer": {
        "en": "This is a demo shop: choose who to be.",
        "ar": "هذا متجر تجريبي: اختيار هوية للدخول.",
        "he": "זו חנות הדגמה: בחירת זהות לכניסה.",
    },
    "add": {"en": "Add to cart", "ar": "إضافة إلى السلّة", "he": "הוספה לסל"},
    "sold_out": {"en": "Sold out", "ar": "نفدت الكمية", "he": "אזל מהמלאי"},
    "left": {"en": "Few left", "ar": "بقيت قطع قليلة", "he": "נותרו יחידות אחרונות"},
    "choose": {"en": "Choose", "ar": "اختيار", "he": "בחירה"},
    "empty_cart": {
        "en": "The cart is empty. The bowls are a good place to start.",
        "ar": "السلّة فارغة. السلطانيات بداية جيدة.",
        "he": "הסל ריק. הקערות הן התחלה טובה.",
    },
    "browse": {"en": "Back to the shop", "ar": "العودة إلى المتجر", "he": "חזרה לחנות"},
    "remove": {"en": "Remove", "ar": "إزالة", "he": "הסרה"},
    "quantity": {"en": "Quantity", "ar": "الكمية", "he": "כמות"},
    "update": {"en": "Update", "ar": "تحديث", "he": "עדכון"},
    "subtotal": {"en": "Subtotal", "ar": "المجموع", "he": "סכום ביניים"},
    "shipping": {"en": "Delivery", "ar": "التوصيل", "he": "משלוח"},
    "free": {"en": "Free", "ar": "مجاني", "he": "חינם"},
    "total": {"en": "Total", "ar": "الإجمالي", "he": "סך הכול"},
    "checkout": {"en": "Check out", "ar": "إتمام الشراء", "he": "לתשלום"},
    "place": {"en": "Place the order", "ar": "تأكيد الطلب", "he": "אישור ההזמנה"},
    "delivery_to": {"en": "Delivery address", "ar": "عنوان التوصيل", "he": "כתובת למשלוח"},
    "contact": {"en": "Contact", "ar": "التواصل", "he": "פרטי קשר"},
    "email": {"en": "E-mail", "ar": "البريد الإلكتروني", "he": "דוא״ל"},
    "first_name": {"en": "First name", "ar": "الاسم", "he": "שם פרטי"},
    "last_name": {"en": "Last name", "ar": "العائلة", "he": "שם משפחה"},
    "phone": {"en": "Phone", "ar": "الهاتف", "he": "טלפון"},
    "address": {"en": "Street and number", "ar": "الشارع والرقم", "he": "רחוב ומספר"},
    "city": {"en": "City", "ar": "المدينة", "he": "עיר"},
    "pay": {"en": "Pay", "ar": "الدفع", "he": "תשלום"},
    "due": {"en": "To pay", "ar": "المبلغ المستحق", "he": "לתשלום"},
    "paid": {"en": "Paid. Thank you.", "ar": "تم الدفع. شكرًا.", "he": "שולם. תודה."},
    "demo_payment": {
        "en": "No payment is taken in this demo shop.",
        "ar": "لا يُستوفى أي مبلغ في هذا المتجر التجريبي.",
        "he": "בחנות ההדגמה לא מתבצע חיוב.",
    },
    "thanks": {"en": "Thank you. We have your order.", "ar": "شكرًا لكم، وصلنا الطلب.", "he": "תודה, ההזמנה התקבלה."},
    "order": {"en": "Order", "ar": "طلب", "he": "הזמנה"},
    "orders": {"en": "Orders", "ar": "الطلبات", "he": "הזמנות"},
    "no_orders": {"en": "No orders yet.", "ar": "لا طلبات بعد.", "he": "אין עדיין הזמנות."},
    "on_its_way": {"en": "On its way", "ar": "في الطريق", "he": "בדרך"},
    "delivered": {"en": "Delivered", "ar": "تم التسليم", "he": "נמסר"},
    "preparing": {"en": "Being prepared", "ar": "قيد التحضير", "he": "בהכנה"},
    "cancelled": {"en": "Cancelled", "ar": "ملغى", "he": "בוטל"},
    "refunded": {"en": "Refunded", "ar": "أُعيد المبلغ", "he": "זוכה"},
    "tracking": {"en": "Tracking number", "ar": "رقم التتبّع", "he": "מספר מעקב"},
    "footer": {
        "en": "A demo shop. Nothing here is for sale, nobody here is real.",
        "ar": "متجر تجريبي. لا شيء معروض للبيع ولا أشخاص حقيقيون هنا.",
        "he": "חנות הדגמה. דבר כאן אינו למכירה, ואיש כאן אינו אמיתי.",
    },
    "not_found": {"en": "This page is not here.", "ar": "هذه الصفحة غير موجودة.", "he": "הדף הזה לא נמצא."},
    "skip": {"en": "Skip to content", "ar": "الانتقال إلى المحتوى", "he": "דילוג לתוכן"},
}

# (in its own script, in Latin letters for the e-mail address)
FIRST_NAMES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "en": tuple(
        (name, name.lower())
        for name in (
            "Emma",
            "Daniel",
            "Sophie",
            "Oliver",
            "Maya",
            "Thomas",
            "Hannah",
            "Jack",
            "Grace",
            "Leo",
            "Alice",
            "Samuel",
            "Ruth",
            "Henry",
            "Clara",
            "Adam",
            "Julia",
            "Max",
            "Nora",
            "Peter",
        )
    ),
    "ar": (
        ("ليلى", "layla"),
        ("أحمد", "ahmad"),
        ("نور", "nour"),
        ("يوسف", "yousef"),
        ("مريم", "mariam"),
        ("خالد", "khaled"),
        ("سارة", "sara"),
        ("عمر", "omar"),
        ("رنا", "rana"),
        ("حسن", "hasan"),
        ("هبة", "heba"),
        ("سامي", "sami"),
        ("دينا", "dina"),
        ("طارق", "tareq"),
        ("لينا", "lina"),
        ("كريم", "karim"),
        ("منى", "mona"),
        ("زياد", "ziad"),
        ("فرح", "farah"),
        ("باسل", "basel"),
    ),
    "he": (
        ("נועה", "noa"),
        ("איתי", "itai"),
        ("תמר", "tamar"),
        ("יונתן", "yonatan"),
        ("מיכל", "michal"),
        ("עומר", "omer"),
        ("שירה", "shira"),
        ("אורי", "uri"),
        ("יעל", "yael"),
        ("דניאל", "daniel"),
        ("רותם", "rotem"),
        ("גיא", "guy"),
        ("ליאור", "lior"),
        ("אביגיל", "avigail"),
        ("נדב", "nadav"),
        ("הילה", "hila"),
        ("ענבל", "inbal"),
        ("אסף", "asaf"),
        ("מאיה", "maya"),
        ("אלון", "alon"),
    ),
}
LAST_NAMES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "en": tuple(
        (name, name.lower())
        for name in (
            "Bennett",
            "Clarke",
            "Fischer",
            "Murphy",
            "Walker",
            "Reed",
            "Novak",
            "Hughes",
            "Larsen",
            "Brown",
            "Meyer",
            "Carter",
            "Rossi",
            "Evans",
        )
    ),
    "ar": (
        ("حدّاد", "haddad"),
        ("خوري", "khoury"),
        ("منصور", "mansour"),
        ("النجّار", "najjar"),
        ("سعيد", "saeed"),
        ("درويش", "darwish"),
        ("عودة", "odeh"),
        ("شاهين", "shaheen"),
        ("الحسيني", "husseini"),
        ("قاسم", "qasem"),
        ("زعبي", "zoabi"),
        ("عبد الله", "abdallah"),
        ("بركات", "barakat"),
        ("جبران", "jubran"),
    ),
    "he": (
        ("כהן", "cohen"),
        ("לוי", "levi"),
        ("מזרחי", "mizrahi"),
        ("פרץ", "peretz"),
        ("ביטון", "biton"),
        ("אברהם", "avraham"),
        ("פרידמן", "friedman"),
        ("שפירא", "shapira"),
        ("גולן", "golan"),
        ("ברק", "barak"),
        ("דהן", "dahan"),
        ("רוזן", "rozen"),
        ("אלמוג", "almog"),
        ("שחר", "shahar"),
    ),
}


class Place(NamedTuple):
    """A city as its people write it, with streets."""

    city: str
    country: str
    country_name: str
    province: str
    zip: str
    dial: str
    streets: tuple[str, ...]


PLACES: Final[dict[str, tuple[Place, ...]]] = {
    "en": (
        Place("London", "GB", "United Kingdom", "ENG", "E8 3PH", "+4474005", ("Wilton Way", "Mare Street")),
        Place("Brooklyn", "US", "United States", "NY", "11215", "+1718555", ("7th Avenue", "Garfield Place")),
        Place("Tel Aviv", "IL", "Israel", "", "6380112", "+972525", ("Dizengoff St", "Nahalat Binyamin St")),
    ),
    "ar": (
        Place("الناصرة", "IL", "Israel", "", "1613101", "+972545", ("شارع بولس السادس", "شارع توفيق زيّاد")),
        Place("حيفا", "IL", "Israel", "", "3303132", "+972505", ("شارع عبّاس", "شارع الجبل")),
        Place("القدس", "IL", "Israel", "", "9711420", "+972535", ("شارع صلاح الدين", "شارع الزهراء")),
        Place("رام الله", "PS", "Palestinian Territories", "", "P6058010", "+970595", ("شارع ركب", "شارع الإرسال")),
        Place("عمّان", "JO", "Jordan", "", "11181", "+962790", ("شارع الرينبو", "شارع مكّة")),
        Place("دبي", "AE", "United Arab Emirates", "DU", "", "+971505", ("شارع الوصل", "شارع جميرا")),
    ),
    "he": (
        Place("תל אביב-יפו", "IL", "Israel", "", "6688218", "+972525", ("רחוב אלנבי", "שדרות רוטשילד")),
        Place("ירושלים", "IL", "Israel", "", "9458118", "+972505", ("רחוב עזה", "רחוב בצלאל")),
        Place("חיפה", "IL", "Israel", "", "3309519", "+972545", ("שדרות הנשיא", "רחוב מסדה")),
        Place("באר שבע", "IL", "Israel", "", "8470116", "+972535", ("רחוב הרצל", "שדרות רגר")),
        Place("מודיעין", "IL", "Israel", "", "7176513", "+972585", ("רחוב עמק דותן", "רחוב נחל צלמון")),
    ),
}

PALETTES: Final = (
    ("#f3e9dc", "#c08552", "#5e3023"),
    ("#e6efe9", "#6a8d73", "#2f4f3e"),
    ("#e4eef2", "#5b8fa8", "#27475a"),
    ("#f5e6e0", "#c97b63", "#6b2d23"),
    ("#efe9f4", "#8e7cc3", "#41326b"),
    ("#f7efd2", "#d6a93b", "#6e5310"),
)
"""Ground, body and shade of the drawn pictures."""

FREE_DELIVERY_MINOR: Final = 25000
"""Orders above this many agorot travel free."""
DELIVERY_MINOR: Final = 2500

CARRIERS: Final = (
    ("Israel Post", "https://mypost.israelpost.co.il/itemtrace?itemcode={}", "RR"),
    ("DHL", "https://www.dhl.com/track?tracking-id={}", "JD"),
    ("Cheetah", "https://chita-il.com/runcom.server/track?id={}", "CH"),
)
RETURN_NOTES: Final[dict[str, tuple[str, ...]]] = {
    "en": ("Arrived with a chip", "Smaller than expected"),
    "ar": ("وصلت مكسورة الحافة", "أصغر من المتوقّع"),
    "he": ("הגיע עם שבר קטן", "קטן מהצפוי"),
}
