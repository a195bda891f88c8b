"""What is on sale."""

import pytest
from shop.models import Account, Product


@pytest.fixture
def shop(transactional_db):
    """Ten pieces of one product, and a customer with money."""
    Product.objects.create(sku="a", stock=10)
    Account.objects.create(owner="ann", balance=100)
