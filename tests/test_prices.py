import pytest

from pyrec.tasks.prices import read_number, read_prices


@pytest.mark.parametrize(
    ("text", "rest", "filters"),
    [
        ("运动鞋 三百以内", "运动鞋", ["price<=300"]),
        ("running shoes under 300", "running shoes", ["price<=300"]),
        ("camera between 100 and 200", "camera", ["price>=100", "price<=200"]),
        ("100到200元的鞋", "鞋", ["price>=100", "price<=200"]),
        ("两千五以下的相机", "相机", ["price<=2500"]),
        ("跑鞋 不超过500元", "跑鞋", ["price<=500"]),
        ("价格在三百以内的运动鞋", "运动鞋", ["price<=300"]),
        ("phone over $1,200", "phone", ["price>=1200"]),
        ("cheaper than 99.99 mouse", "mouse", ["price<=99.99"]),
        ("mouse at least 20 up to 50", "mouse", ["price<=50", "price>=20"]),
        ("低于100的杯子", "杯子", ["price<100"]),
        ("shoes <300", "shoes", ["price<=300"]),
        ("300块以内", "", ["price<=300"]),
        ("size 42 shoes under 400", "size 42 shoes", ["price<=400"]),
    ],
)
def test_a_price_bound_is_taken_out_of_the_question(text, rest, filters):
    left, found = read_prices(text)
    assert left == rest
    assert [str(f) for f in found] == filters


@pytest.mark.parametrize(
    "text",
    [
        "a tent for under 5 people",
        "tent under 5 kg",
        "3岁以上玩具",
        "超过三百小时的电池",
        "movies from 1990",
        "top 10 movies",
        "iphone 12",
        "under the sea",
        "14-15 inch laptop",
        "at least 4 stars",
        "",
        "三",
    ],
)
def test_a_number_that_is_no_price_stays_in_the_question(text):
    assert read_prices(text) == (text, ())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("三百", 300),
        ("三百五", 350),
        ("三百零五", 305),
        ("两千", 2000),
        ("一万二", 12000),
        ("十五", 15),
        ("二〇〇", 200),
        ("1,299.50", 1299.5),
        ("2k", 2000),
        ("$45", 45),
        ("abc", None),
        ("", None),
    ],
)
def test_numbers_are_read_in_digits_and_in_chinese(text, value):
    assert read_number(text) == value
