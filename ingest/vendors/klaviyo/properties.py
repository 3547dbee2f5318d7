"""The properties of Klaviyo's events that models need; shops and apps add anything, even personal data."""

from typing import Final

from privacy.traces import PRODUCT_IDS, Kept, names_in

_PRODUCT: Final = names_in(
    """
    ProductName, Product Name, Categories, ProductCategories, Product Categories, Collections, Brand, Vendor,
    Product Type, Price, ItemPrice, Item Price, RowTotal, Row Total, Quantity, CompareAtPrice,
    Compare At Price, Variant Name, VariantName, Variant Title, Discount, Total Discount, Tags, tags,
    Currency, currency
"""
)
_PRODUCT_LINKS: Final = names_in("URL, ProductURL, Product URL, ImageURL, Image URL")
_ITEM: Final = Kept(
    names=(*PRODUCT_IDS, *_PRODUCT, "Name", "Title", "id", "sku", "name", "title", "price", "quantity"),
    links=_PRODUCT_LINKS,
)
_MESSAGE: Final = names_in(
    """
    $event_id, $message, $flow, $variation, $message_interaction, $group_ids, $campaign, $campaign_channel,
    $flow_channel, $_cohort$message_send_cohort, $_cohort$variation_send_cohort, $cohort$message_send_cohort,
    $cohort$variation_send_cohort, $attributed_message, $attributed_flow, $attributed_channel,
    $attributed_variation, Campaign Name, Flow Name, Message Name, Message Type, Message Format, Subject,
    Segment Count, List, Method, form_id, Form ID
"""
)
_READING: Final = names_in(
    """
    Email Domain, Inbox Provider, Client Type, Client OS, Client OS Family, Client Name, Client Canonical,
    machine_open, Bot Click, Bounce Type, Failure Source, Failure Type, From Phone Region, To Phone Region,
    browser, os, Browser, OS, Device Type, $is_session_activity
"""
)
_ORDER: Final = names_in(
    """
    $value, $value_currency, value_currency, $currency_code, currency_code, Currency Code,
    presentment_currency, OrderId, Order ID, order_id, Item Count, ItemNames, Item Names, Brands,
    Discount Codes, Discount Code, Discount Value, Total Discounts, Subtotal, Total Tax, Total Shipping,
    Total Price, Refund Amount, Refunded Amount, Cancel Reason, Fulfillment Status, FulfillmentStatus,
    Financial Status, FinancialStatus, HasPartialFulfillments, Source Name, AddedItemProductName,
    AddedItemProductID, AddedItemSKU, AddedItemCategories, AddedItemPrice, AddedItemQuantity
"""
)
EVENT_PROPERTIES: Final = Kept(
    names=(*_MESSAGE, *_READING, *_ORDER, *PRODUCT_IDS, *_PRODUCT),
    links=(*_PRODUCT_LINKS, *names_in("url, page, Page, Page URL, AddedItemURL, AddedItemImageURL")),
    inside={
        "$attribution": Kept(
            names_in("""
            $attributed_event_id, $message, $flow, $campaign, $variation, $send_ts, $channel,
            $attributed_channel
        """)
        ),
        "Items": _ITEM,
        "items": _ITEM,
        "Discount Codes": Kept(names_in("code, amount, type")),
    },
    products=("Name", "Title"),
)
