# ruff: noqa: E501 (one product a line reads best)
"""What the demo shop sells and who buys there: forty products and the names of its customers, in three languages."""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = ("en", "ar", "he")

CATEGORIES: dict[str, dict[str, str]] = {
    "pantry": {"en": "Oil & pantry", "ar": "الزيت والمونة", "he": "שמן ומזווה"},
    "coffee": {"en": "Coffee & tea", "ar": "القهوة والشاي", "he": "קפה ותה"},
    "spices": {"en": "Spices", "ar": "البهارات", "he": "תבלינים"},
    "bath": {"en": "Soap & bath", "ar": "الصابون والحمّام", "he": "סבון ורחצה"},
    "ceramics": {"en": "Ceramics", "ar": "الخزف", "he": "קרמיקה"},
    "textiles": {"en": "Textiles", "ar": "المنسوجات", "he": "טקסטיל"},
}


@dataclass(frozen=True, slots=True)
class Product:
    """One product; `default` is the language its name has in WooCommerce, `options` makes it variable."""

    sku: str
    category: str
    price: str
    hue: int
    default: str
    en: str
    ar: str
    he: str
    options: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        return {"en": self.en, "ar": self.ar, "he": self.he}


PRODUCTS: tuple[Product, ...] = (
    Product("OIL-500", "pantry", "7.500", 75, "en", "Olive oil, first press 500 ml", "زيت زيتون بكر ٥٠٠ مل", "שמן זית כבישה ראשונה 500 מ״ל"),
    Product("OIL-1L", "pantry", "13.250", 82, "en", "Olive oil, first press 1 l", "زيت زيتون بكر ١ لتر", "שמן זית כבישה ראשונה 1 ליטר"),
    Product("OLV-GRN", "pantry", "3.200", 95, "ar", "Cracked green olives", "زيتون أخضر مرصوص", "זיתים ירוקים דפוקים"),
    Product("TAH-400", "pantry", "4.100", 40, "he", "Stone-ground tahini 400 g", "طحينة مطحونة على الحجر ٤٠٠ غ", "טחינה מאבני ריחיים 400 גרם"),
    Product("HNY-SDR", "pantry", "12.000", 42, "ar", "Sidr honey 350 g", "عسل سدر ٣٥٠ غ", "דבש שיזף 350 גרם"),
    Product("DAT-MDJ", "pantry", "6.750", 25, "en", "Medjool dates 1 kg", "تمر مجهول ١ كغ", "תמרי מג׳הול 1 ק״ג"),
    Product("MOL-POM", "pantry", "3.900", 350, "en", "Pomegranate molasses", "دبس رمان", "סירופ רימונים"),
    Product("FRK-1K", "pantry", "4.400", 110, "ar", "Roasted freekeh 1 kg", "فريكة محمصة ١ كغ", "פריקה קלויה 1 ק״ג"),
    Product("COF-CRD", "coffee", "5.900", 22, "ar", "Arabic coffee with cardamom 250 g", "قهوة عربية بالهيل ٢٥٠ غ", "קפה ערבי עם הל 250 גרם"),
    Product("COF-YRG", "coffee", "8.400", 18, "en", "Ethiopia Yirgacheffe 250 g", "قهوة يرغاتشيف إثيوبية ٢٥٠ غ", "קפה אתיופי ירגשפה 250 גרם"),
    Product("COF-DRK", "coffee", "6.300", 12, "en", "Dark roast for the pot 250 g", "قهوة غامقة للغلاية ٢٥٠ غ", "קפה שחור קלייה כהה 250 גרם"),
    Product("TEA-JAS", "coffee", "4.250", 130, "he", "Jasmine green tea 100 g", "شاي أخضر بالياسمين ١٠٠ غ", "תה ירוק יסמין 100 גרם"),
    Product("TEA-SGE", "coffee", "2.800", 145, "ar", "Mountain sage tea", "شاي ميرمية جبلية", "תה מרווה"),
    Product("TEA-MNT", "coffee", "2.600", 155, "he", "Dried spearmint", "نعناع مجفف", "נענע מיובשת"),
    Product("RKW-CUP", "coffee", "11.500", 28, "en", "Copper coffee pot", "ركوة نحاس", "פינג׳אן נחושת"),
    Product("SPC-ZTR", "spices", "2.950", 90, "ar", "Zaatar blend 200 g", "خلطة زعتر ٢٠٠ غ", "תערובת זעתר 200 גרם"),
    Product("SPC-SMC", "spices", "2.500", 345, "ar", "Sumac 150 g", "سمّاق ١٥٠ غ", "סומאק 150 גרם"),
    Product("SPC-SFR", "spices", "9.800", 35, "en", "Saffron threads 2 g", "زعفران ٢ غ", "חוטי זעפרן 2 גרם"),
    Product("SPC-BRT", "spices", "3.300", 15, "en", "Baharat for stews", "بهارات مشكلة", "תערובת בהרט"),
    Product("SPC-HWJ", "spices", "3.450", 48, "he", "Hawaij for coffee", "حوايج للقهوة", "חוואיג׳ לקפה"),
    Product("SPC-CRD", "spices", "5.200", 120, "ar", "Green cardamom 100 g", "هيل أخضر ١٠٠ غ", "הל ירוק 100 גרם"),
    Product("SPC-SET", "spices", "14.900", 20, "en", "Box of seven spices", "علبة البهارات السبع", "מארז שבעה תבלינים"),
    Product("SOP-NBL", "bath", "1.950", 70, "ar", "Nabulsi soap bar", "صابون نابلسي", "סבון שכם"),
    Product("SOP-ALP", "bath", "2.750", 100, "en", "Aleppo laurel soap", "صابون حلبي بالغار", "סבון דפנה מחאלב"),
    Product("SOP-LAV", "bath", "2.900", 270, "he", "Lavender soap", "صابون اللافندر", "סבון לבנדר"),
    Product("SEA-SLT", "bath", "5.400", 195, "en", "Dead Sea bath salt 500 g", "ملح البحر الميت ٥٠٠ غ", "מלח ים המלח לאמבט 500 גרם"),
    Product("SEA-MUD", "bath", "6.800", 210, "he", "Dead Sea mud mask", "قناع طين البحر الميت", "מסכת בוץ ים המלח"),
    Product("OIL-ARG", "bath", "9.250", 38, "en", "Argan hair oil 60 ml", "زيت أرغان للشعر ٦٠ مل", "שמן ארגן לשיער 60 מ״ל"),
    Product("WTR-ROS", "bath", "3.150", 335, "ar", "Rose water 250 ml", "ماء ورد ٢٥٠ مل", "מי ורדים 250 מ״ל"),
    Product("CER-BWL", "ceramics", "16.500", 205, "en", "Hebron serving bowl", "وعاء تقديم خليلي", "קערת הגשה מחברון"),
    Product("CER-CUP", "ceramics", "4.800", 190, "en", "Coffee cup without handle", "فنجان قهوة بلا يد", "ספל קפה ללא ידית"),
    Product("CER-PLT", "ceramics", "9.900", 220, "he", "Hand-painted plate", "صحن مرسوم باليد", "צלחת מצוירת ביד"),
    Product("CER-JUG", "ceramics", "21.000", 15, "ar", "Clay water jug", "إبريق فخار", "כד חרס"),
    Product("CER-TIL", "ceramics", "3.600", 215, "en", "Painted tile 15 cm", "بلاطة مرسومة ١٥ سم", "אריח מצויר 15 ס״מ"),
    Product("TXT-KUF", "textiles", "12.500", 0, "ar", "Cotton kufiyah", "كوفية قطن", "כאפייה מכותנה", ("Black", "Red", "White")),
    Product("TXT-TWL", "textiles", "8.900", 180, "en", "Hammam towel", "منشفة حمّام", "מגבת חמאם", ("Blue", "Sand", "Olive")),
    Product("TXT-APR", "textiles", "10.750", 60, "en", "Linen apron", "مريول كتان", "סינר פשתן"),
    Product("TXT-TEE", "textiles", "9.000", 85, "en", "Zaytouna T-shirt", "قميص زيتونة", "חולצת זייתונה", ("S", "M", "L", "XL")),
    Product("TXT-TBL", "textiles", "24.500", 5, "he", "Embroidered table runner", "مفرش مطرز", "ראנר רקום"),
    Product("TXT-BAG", "textiles", "6.200", 75, "en", "Market bag", "كيس سوق", "תיק שוק"),
)  # fmt: skip

OPTION_NAMES: dict[str, dict[str, str]] = {
    "Black": {"ar": "أسود", "he": "שחור"},
    "Red": {"ar": "أحمر", "he": "אדום"},
    "White": {"ar": "أبيض", "he": "לבן"},
    "Blue": {"ar": "أزرق", "he": "כחול"},
    "Sand": {"ar": "رملي", "he": "חול"},
    "Olive": {"ar": "زيتي", "he": "זית"},
}

GIVEN: dict[str, tuple[str, ...]] = {
    "en": ("Alice", "Daniel", "Grace", "Omar", "Sophie", "James", "Layla", "Noah", "Emma", "Adam"),
    "ar": ("ليان", "خالد", "نور", "سامر", "هدى", "يوسف", "رنا", "طارق", "دانا", "محمود"),
    "he": ("נועה", "איתי", "דנה", "יעל", "עומר", "מיכל", "רון", "שירה", "אורי", "תמר"),
}
FAMILY: dict[str, tuple[str, ...]] = {
    "en": ("Nguyen", "Haddad", "Miller", "Clarke", "Rossi", "Khan"),
    "ar": ("الحداد", "العبدالله", "خوري", "منصور", "الزعبي", "نجار"),
    "he": ("לוי", "כהן", "מזרחי", "ברק", "פרידמן", "אברהם"),
}
LATIN: dict[str, str] = {
    "ليان": "layan", "خالد": "khaled", "نور": "nour", "سامر": "samer", "هدى": "huda", "يوسف": "yousef", "رنا": "rana",
    "طارق": "tareq", "دانا": "dana.h", "محمود": "mahmoud", "נועה": "noa", "איתי": "itay", "דנה": "dana", "יעל": "yael",
    "עומר": "omer", "מיכל": "michal", "רון": "ron", "שירה": "shira", "אורי": "uri", "תמר": "tamar",
}  # fmt: skip
PLACES: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "en": (("12 High Street", "London", "N1 9GU", "GB"), ("48 Oak Avenue", "Boston", "02118", "US")),
    "ar": (("شارع الرينبو ١٤", "عمّان", "11181", "JO"), ("شارع الجامعة ٧", "إربد", "21110", "JO"), ("شارع التحلية ٣", "جدة", "23326", "SA")),
    "he": (("הרצל 18", "חיפה", "3303201", "IL"), ("דיזנגוף 99", "תל אביב", "6439601", "IL"), ("יפו 23", "ירושלים", "9414215", "IL")),
}  # fmt: skip
PHONES: dict[str, str] = {"GB": "+4477009", "US": "+1617555", "JO": "+96279", "SA": "+96655", "IL": "+97252"}
