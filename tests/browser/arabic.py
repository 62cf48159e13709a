"""Arabic texts of an application: a language that the page does not have, from right to left.

Texts that are missing are English.
"""

from typing import Any

ARABIC: dict[str, Any] = {
    "lang": "ar",
    "title": "اتصالات الرواتب",
    "theApplication": "التطبيق",
    "connect": "ربط نظام آخر",
    "connectFirst": "ربط نظام الرواتب",
    "addLogin": "إضافة حساب دخول",
    "connectAgain": "الربط من جديد",
    "repair": "تسجيل الدخول من جديد",
    "disconnect": "قطع الاتصال",
    "keep": "الإبقاء عليه",
    "details": "التفاصيل",
    "more": "عرض المزيد",
    "tryAgain": "إعادة المحاولة",
    "dismiss": "إغلاق",
    "support": "الاتصال بالدعم",
    "reference": "المرجع {id}",
    "justNow": "الآن",
    "named": "{company} لدى {provider}",
    "action": "{action}: {name}",
    "loading": "جارٍ تحميل اتصالاتك…",
    "unknownCompany": "الشركة {id}",
    "andMore": {
        "one": "{name} وكيان آخر",
        "two": "{name} وكيانان آخران",
        "other": "{name} و{n} أخرى",
    },
    "summary": {
        "good": "كل شيء متصل ويعمل.",
        "attention": {
            "one": "اتصال واحد يحتاج إلى انتباهك",
            "two": "اتصالان يحتاجان إلى انتباهك",
            "few": "{n} اتصالات تحتاج إلى انتباهك",
            "other": "{n} اتصالًا يحتاج إلى انتباهك",
        },
    },
    "sections": {
        "attention": "يحتاج إلى انتباهك",
        "active": "الاتصالات",
        "others": "اتصالات أخرى",
        "ended": {
            "one": "اتصال واحد منتهٍ",
            "two": "اتصالان منتهيان",
            "other": "{n} اتصالات منتهية",
        },
    },
    "reads": {"title": "ما يطلب {app} قراءته"},
    "list": {
        "search": "بحث",
        "status": "الحالة",
        "provider": "المزوّد",
        "order": "الترتيب",
        "checked": "فُحصت كل الاتصالات خلال اليوم الأخير.",
        "othersChecked": "فُحصت الاتصالات التي لا تعرض وقتًا خلال اليوم الأخير.",
    },
    "empty": {
        "title": "اربط نظام الرواتب أو الموارد البشرية",
        "text": "هكذا يعمل {app} ببيانات حديثة، بلا جداول وبلا رفع ملفات.",
        "password": "تسجّل الدخول لدى المزوّد. لا تصل كلمة مرورك إلى {app} أبدًا.",
        "control": "ترى كل اتصال هنا، ويمكنك قطعه في أي وقت.",
    },
    "card": {
        "logins": {
            "one": "حساب دخول واحد",
            "two": "حسابا دخول",
            "few": "{n} حسابات دخول",
            "other": "{n} حساب دخول",
        },
        "checked": "فُحص {when}",
        "someEntities": "{some} من {n} كيانات",
        "login": "الحساب {n}",
        "since": "متصل منذ {date}",
        "ended": "انتهى في {date}",
        "loginsTitle": "حسابات الدخول",
        "companyId": "معرّف الشركة",
        "accountId": "معرّف الحساب",
        "entity": "الكيان {id}",
    },
    "status": {
        "connected": {"label": "متصل"},
        "processing": {
            "label": "قيد الإعداد",
            "reason": "البيانات الأولى في الطريق من {provider}.",
        },
        "reauth": {
            "label": "يلزم تسجيل الدخول",
            "reason": "يطلب {provider} أن تسجّل الدخول من جديد. لن تصل بيانات جديدة قبل ذلك.",
        },
        "disconnecting": {
            "label": "جارٍ القطع",
            "reason": "ما زال على {provider} أن يؤكد النهاية. يستمر ذلك تلقائيًا.",
        },
        "disconnected": {"label": "منتهٍ"},
    },
    "product": {
        "company": "بيانات الشركة",
        "directory": "دليل الموظفين",
        "employment": "الوظائف والدخل",
        "individual": "البيانات الشخصية",
        "payment": "مجاميع الرواتب",
    },
    "confirm": {"provider": "المزوّد", "company": "الشركة", "title": "هل كان هذا أنت؟"},
    "dialog": {
        "title": "قطع {name}؟",
        "stops": "لن يتلقى {app} بيانات {company} من {provider} بعد الآن. ينتهي ما يلي:",
        "stays": "تبقى اتصالاتك الأخرى كما هي.",
        "undo": "للتراجع عن ذلك عليك تسجيل الدخول لدى {provider} من جديد.",
    },
}
