"""What `ahlan seed` lets people say: sentences of shoppers and agents in three languages, with gaps.

`{product} {colour} {city} {order} {track} {name} {size} {code}` are filled in; Arabic also as it is spoken.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language's people and words."""

    locale: str
    first: tuple[str, ...]
    last: tuple[str, ...]
    latin: tuple[str, ...]
    products: tuple[str, ...]
    colours: tuple[str, ...]
    cities: tuple[str, ...]
    asked: tuple[str, ...]
    answered: tuple[str, ...]
    subjects: tuple[str, ...]
    notes: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


ENGLISH = Tongue(
    "en",
    _words(
        "Emma Liam Olivia Noah Ava Lucas Mia Ethan Sophia Jack Grace Daniel Chloe Ryan Zoe Adam Hannah Leo Ruby Max"
    ),
    _words("Smith Taylor Brown Wilson Evans Walker Wright Hughes Green Hall Wood Clarke Turner Carter Parker Kelly"),
    _words(
        "emma liam olivia noah ava lucas mia ethan sophia jack grace daniel chloe ryan zoe adam hannah leo ruby max"
    ),
    _words(
        "dress jacket sneakers kettle lamp backpack scarf coat blender headphones keyboard necklace ring perfume sofa "
        "rug mirror teapot mug candle blanket pillow watch bracelet "
        "wallet belt boots sandals shirt trousers skirt hoodie "
        "socks umbrella suitcase notebook camera charger speaker toaster grinder pan knife bowl vase curtain towel"
    ),
    _words("black white red blue green grey navy beige olive pink purple brown silver gold turquoise cream"),
    _words("London Manchester Leeds Dublin Bristol Glasgow Cardiff Chicago Boston Austin Toronto Sydney Dubai Berlin"),
    _lines("""
        Hi, where is my order #{order}? It should have been here on Monday.
        The {product} arrived but it is broken, the box was completely crushed
        I want to return the {colour} {product}, it does not fit me in size {size}
        can I change the address of order {order} to {city} please
        Is the {colour} {product} back in stock soon?
        tracking {track} has not moved for five days
        I was charged twice for #{order}!! please refund one of them
        The discount code {code} does not work at checkout
        Do you ship the {product} to {city} and how long does it take
        thanks
        Could you send me the invoice for order #{order}
        wrong colour, I ordered {colour} and got something else
        How do I wash the {product}? The label came off
        I would like to exchange size {size} for one size larger
        Still waiting for my refund, it has been two weeks now
        My parcel {track} says delivered but nothing is here
        can you cancel order {order} before it ships
        Is this {product} real leather?
        Perfect, that solved it
        The zip of the {product} is stuck and the seller said you would replace it
        Hello? anybody there
        I paid with PayPal but the order page shows pending
        Do I have to pay customs if it goes to {city}
        the gift card I got says invalid
    """),
    _lines("""
        Hi {name}, sorry about the wait. Your order #{order} left our warehouse this morning.
        I have asked the carrier about {track} and will write as soon as they answer.
        Of course. Here is the return label for the {product}; drop it off at any pickup point.
        The refund for order {order} is on its way and takes three to five working days.
        The {colour} {product} will be back in about ten days, shall I let you know?
        I changed the address to {city}, it ships tomorrow.
        Could you send us a picture of the damage and of the box?
        You can use the code {code} for ten percent off your next order.
        Thank you for your patience, is there anything else?
        We have sent a replacement in size {size}, the new tracking number is {track}.
        The payment went through once; the second line is only a reservation of your bank.
        Glad that it worked out
    """),
    _lines("""
        Order #{order}
        Where is my {product}
        Return of a {colour} {product}
        Refund for #{order}
        Question about delivery to {city}
        Damaged {product}
    """),
    _lines("""
        Carrier promised a call back about {track}
        Second complaint about the {product} this month, check the supplier
        VIP, send the replacement by express to {city}
    """),
)

ARABIC = Tongue(
    "ar",
    _words("ليلى أحمد فاطمة محمد نورة خالد سارة عبدالله مريم يوسف هند عمر ريم سعود دانة طارق أمل فهد منى إبراهيم"),
    _words("حداد القحطاني المصري العتيبي النجار الخطيب منصور الشمري سالم الحربي قاسم الزهراني عيسى الدوسري بركات"),
    _words(
        "layla ahmad fatima mohamad noura khaled sara abdullah mariam yousef "
        "hind omar reem saud dana tariq amal fahd mona ibrahim"
    ),
    _words(
        "فستان عباية حذاء حقيبة ساعة عطر قميص بنطلون خاتم سوار قلادة نظارة معطف وشاح بخور مبخرة غلاية مصباح سجادة "
        "وسادة بطانية مرآة شمعة كوب إبريق دلة فنجان خلاط محمصة سماعة شاحن لوحة كاميرا دفتر مظلة محفظة حزام صندل جوارب "
        "تنورة ثوب غترة شماغ مسبحة ستارة منشفة"
    ),
    _words("أسود أبيض أحمر أزرق أخضر رمادي كحلي بيج زيتي وردي بنفسجي بني فضي ذهبي فيروزي عاجي"),
    _words("الرياض جدة الدمام دبي أبوظبي الكويت الدوحة المنامة مسقط عمّان بيروت القاهرة الإسكندرية الدار-البيضاء تونس"),
    _lines("""
        السلام عليكم، وين طلبي رقم {order}؟ المفروض يوصل الاثنين
        وصل الـ{product} مكسور والكرتون كان مضغوط بالكامل
        أبغى أرجّع {product} {colour} لأن المقاس {size} ما يناسبني
        هل ممكن تغيير عنوان الطلب {order} إلى {city} لو سمحتم
        متى يتوفر {product} اللون {colour}؟
        الشحنة {track} ما تحركت من خمسة أيام
        انسحب المبلغ مرتين للطلب #{order} أرجو استرجاع واحد منهم
        كود الخصم {code} ما يشتغل عند الدفع
        بتشحنوا {product} على {city}؟ وبكام الشحن
        شكرًا
        ممكن ترسلون فاتورة الطلب #{order}
        اللون غلط، طلبت {colour} ووصلني لون ثاني
        كيف أغسل {product}؟ البطاقة طاحت
        حابة أبدّل المقاس {size} بمقاس أكبر
        لسّه ما وصلني المبلغ المسترد وصار له أسبوعين
        مكتوب تم توصيل الطرد {track} بس ما استلمت شيء
        إلغاء الطلب {order} قبل الشحن من فضلكم
        هذا {product} جلد طبيعي؟
        تمام، انحلّت المشكلة
        الدفع عند الاستلام متوفر في {city}؟
        مرحبا في أحد؟
        دفعت بالبطاقة والطلب لسه معلّق
        هل في جمارك لو الشحن إلى {city}
        بطاقة الهدية تقول غير صالحة
    """),
    _lines("""
        أهلًا {name}، نعتذر عن التأخير. خرج الطلب #{order} من المستودع هذا الصباح.
        سألنا شركة الشحن عن {track} ونكتب لكم فور وصول الرد.
        بكل سرور. هذه بوليصة إرجاع {product}، يمكن تسليمها في أقرب نقطة.
        استرداد مبلغ الطلب {order} في الطريق ويستغرق من ثلاثة إلى خمسة أيام عمل.
        يتوفر {product} باللون {colour} خلال عشرة أيام تقريبًا، هل نرسل تنبيهًا؟
        تم تغيير العنوان إلى {city} والشحن غدًا.
        هل يمكن إرسال صورة للضرر وللكرتون؟
        يمكن استخدام الكود {code} لخصم عشرة بالمئة على الطلب القادم.
        شكرًا على الصبر، هل من شيء آخر؟
        أرسلنا بديلًا بالمقاس {size} ورقم التتبع الجديد {track}.
        تم الدفع مرة واحدة، والسطر الثاني حجز مؤقت من البنك.
        سعداء بأن الأمر انتهى على خير
    """),
    _lines("""
        طلب رقم {order}
        وين الـ{product}
        إرجاع {product} {colour}
        استرداد مبلغ #{order}
        سؤال عن التوصيل إلى {city}
        {product} تالف
    """),
    _lines("""
        شركة الشحن وعدت بالاتصال بخصوص {track}
        ثاني شكوى عن {product} هذا الشهر، نراجع المورّد
        عميلة مهمة، البديل بالشحن السريع إلى {city}
    """),
)

HEBREW = Tongue(
    "he",
    _words("נועה דוד מאיה יוסי תמר איתי שירה אורי יעל רון מיכל עומר ליאת גל הדס אמיר רותם ניר טליה אסף"),
    _words("כהן לוי מזרחי פרץ ביטון אברהם פרידמן אזולאי מלכה דהן חדד שפירא רוזן קליין גולן ברק שלום"),
    _words("noa david maya yossi tamar itay shira uri yael ron michal omer liat gal hadas amir rotem nir talia asaf"),
    _words(
        "שמלה מעיל נעליים תיק שעון בושם חולצה מכנסיים טבעת צמיד שרשרת משקפיים צעיף קומקום מנורה שטיח כרית שמיכה מראה "
        "נר ספל קנקן בלנדר טוסטר אוזניות מטען מקלדת מצלמה מחברת "
        "מטרייה ארנק חגורה סנדלים גרביים חצאית קפוצון מזוודה רמקול "
        "מחבת סכין קערה אגרטל וילון מגבת"
    ),
    _words("שחור לבן אדום כחול ירוק אפור נייבי בז' זית ורוד סגול חום כסף זהב טורקיז שמנת"),
    _words("תל-אביב חיפה ירושלים באר-שבע אשדוד נתניה רמת-גן הרצליה רעננה אילת נצרת עכו מודיעין"),
    _lines("""
        היי, איפה ההזמנה שלי #{order}? היא הייתה אמורה להגיע ביום שני
        ה{product} הגיע שבור, הקרטון היה מעוך לגמרי
        אני רוצה להחזיר {product} בצבע {colour}, המידה {size} לא מתאימה
        אפשר לשנות את הכתובת של הזמנה {order} ל{city} בבקשה
        מתי ה{product} ב{colour} חוזר למלאי?
        המשלוח {track} לא זז כבר חמישה ימים
        חייבו אותי פעמיים על #{order}!! אשמח לזיכוי
        קוד הקופון {code} לא עובד בתשלום
        אתם שולחים {product} ל{city}? כמה זמן זה לוקח
        תודה
        אפשר לקבל חשבונית על הזמנה #{order}
        הצבע לא נכון, הזמנתי {colour} וקיבלתי משהו אחר
        איך מכבסים את ה{product}? התווית נפלה
        אפשר להחליף מידה {size} למידה גדולה יותר
        עדיין מחכה להחזר הכספי, כבר שבועיים
        כתוב שהחבילה {track} נמסרה אבל שום דבר לא הגיע
        אפשר לבטל את הזמנה {order} לפני שהיא יוצאת
        זה {product} מעור אמיתי?
        מעולה, הסתדר
        הרוכסן של ה{product} נתקע והובטח לי תיקון
        הלו? יש פה מישהו
        שילמתי בביט וההזמנה עדיין ממתינה
        צריך לשלם מכס אם שולחים ל{city}
        כרטיס המתנה שקיבלתי לא תקף
    """),
    _lines("""
        היי {name}, סליחה על ההמתנה. ההזמנה #{order} יצאה מהמחסן הבוקר.
        שאלנו את חברת המשלוחים על {track} ונעדכן מיד כשתגיע תשובה.
        בשמחה. זו תווית ההחזרה של ה{product}, אפשר למסור אותה בכל נקודת איסוף.
        הזיכוי על הזמנה {order} בדרך, שלושה עד חמישה ימי עסקים.
        ה{product} ב{colour} יחזור בעוד כעשרה ימים, לשלוח תזכורת?
        הכתובת עודכנה ל{city}, המשלוח יוצא מחר.
        אפשר לקבל תמונה של הנזק ושל הקרטון?
        הקוד {code} נותן עשרה אחוז הנחה על ההזמנה הבאה.
        תודה על הסבלנות, יש עוד משהו?
        שלחנו החלפה במידה {size}, מספר המעקב החדש הוא {track}.
        החיוב בוצע פעם אחת; השורה השנייה היא תפיסת מסגרת של הבנק.
        שמחים שהסתדר
    """),
    _lines("""
        הזמנה #{order}
        איפה ה{product}
        החזרה של {product} {colour}
        זיכוי על #{order}
        שאלה על משלוח ל{city}
        {product} פגום
    """),
    _lines("""
        חברת המשלוחים הבטיחה לחזור לגבי {track}
        תלונה שנייה על {product} החודש, לבדוק מול הספק
        לקוחה ותיקה, לשלוח החלפה באקספרס ל{city}
    """),
)

TONGUES = (ARABIC, HEBREW, ENGLISH)
